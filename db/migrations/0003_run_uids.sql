ALTER TABLE "installation" ADD COLUMN "numbers_checked_at" timestamp(6) with time zone;--> statement-breakpoint
ALTER TABLE "launches" ADD COLUMN "run_uid" text;--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "uid" text;