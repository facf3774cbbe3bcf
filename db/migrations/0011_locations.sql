CREATE TABLE "locations" (
	"name" text PRIMARY KEY NOT NULL
);
--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "log_location" text;
--> statement-breakpoint
-- Everything so far is in the data folder.
INSERT INTO "locations" ("name")
SELECT 'local' WHERE EXISTS (SELECT FROM "buffers") OR EXISTS (SELECT FROM "runs");
