ALTER TABLE "launches" ADD COLUMN "run_uid" text;--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "uid" text;