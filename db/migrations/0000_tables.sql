CREATE TYPE "public"."launch_state" AS ENUM('claimed', 'launched', 'removed');--> statement-breakpoint
CREATE TYPE "public"."run_status" AS ENUM('Pending', 'Running', 'Failed', 'Succeeded', 'Canceling', 'Canceled');--> statement-breakpoint
CREATE TABLE "buffers" (
	"id" text collate "C" PRIMARY KEY NOT NULL,
	"location" text NOT NULL,
	"created_at" timestamp(6) with time zone DEFAULT clock_timestamp() NOT NULL,
	"is_soft_deleted" boolean DEFAULT false NOT NULL,
	"expires_at" timestamp(6) with time zone,
	"tags" json DEFAULT '{}'::json NOT NULL
);
--> statement-breakpoint
CREATE TABLE "codespecs" (
	"name" text collate "C" NOT NULL,
	"version" integer NOT NULL,
	"created_at" timestamp(6) with time zone DEFAULT clock_timestamp() NOT NULL,
	"codespec" json NOT NULL,
	CONSTRAINT "codespecs_name_version_pk" PRIMARY KEY("name","version")
);
--> statement-breakpoint
CREATE TABLE "installation" (
	"only" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"id" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "launches" (
	"run_id" bigint NOT NULL,
	"replica" integer NOT NULL,
	"attempt" text NOT NULL,
	"container_id" text,
	"state" "launch_state" NOT NULL,
	CONSTRAINT "launches_run_id_replica_pk" PRIMARY KEY("run_id","replica")
);
--> statement-breakpoint
CREATE TABLE "run_counts" (
	"status" "run_status" NOT NULL,
	"shard" integer NOT NULL,
	"total" bigint NOT NULL,
	CONSTRAINT "run_counts_status_shard_pk" PRIMARY KEY("status","shard")
);
--> statement-breakpoint
CREATE TABLE "run_tags" (
	"run_id" bigint NOT NULL,
	"key" text collate "C" NOT NULL,
	"value" text collate "C" NOT NULL,
	"status" "run_status" NOT NULL,
	"created_at" timestamp(6) with time zone NOT NULL,
	CONSTRAINT "run_tags_run_id_key_pk" PRIMARY KEY("run_id","key")
);
--> statement-breakpoint
CREATE TABLE "runs" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "runs_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"created_at" timestamp(6) with time zone DEFAULT clock_timestamp() NOT NULL,
	"status" "run_status" DEFAULT 'Pending' NOT NULL,
	"cancel_requested_at" timestamp(6) with time zone,
	"shown_status" "run_status" GENERATED ALWAYS AS (case when cancel_requested_at is not null and status in ('Pending', 'Running') then 'Canceling'::run_status else status end) STORED NOT NULL,
	"status_reason" text,
	"started_at" timestamp(6) with time zone,
	"finished_at" timestamp(6) with time zone,
	"job" json NOT NULL,
	"timeout_seconds" integer NOT NULL,
	"tags" json DEFAULT '{}'::json NOT NULL,
	"buffer_access_ttl" text NOT NULL,
	"revision" integer DEFAULT 0 NOT NULL,
	"workflow_started_at" timestamp(6) with time zone,
	"admitted_at" timestamp(6) with time zone,
	"archived_at" timestamp(6) with time zone,
	"idempotency_key_hash" text,
	CONSTRAINT "runs_idempotency_key_hash_unique" UNIQUE("idempotency_key_hash")
);
--> statement-breakpoint
CREATE INDEX "codespecs_latest" ON "codespecs" USING btree ("name","version" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "run_tags_newest" ON "run_tags" USING btree ("key","value","status","created_at","run_id");--> statement-breakpoint
CREATE INDEX "runs_newest" ON "runs" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "runs_by_status" ON "runs" USING btree ("shown_status","created_at","id");--> statement-breakpoint
CREATE INDEX "runs_open" ON "runs" USING btree ("id") WHERE status in ('Pending', 'Running');--> statement-breakpoint
CREATE INDEX "runs_unarchived" ON "runs" USING btree ("id") WHERE status not in ('Pending', 'Running') and archived_at is null;