ALTER TABLE "runs" ADD COLUMN "replica_count" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "running_count" integer;