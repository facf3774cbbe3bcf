CREATE TABLE "pumps" (
	"run_id" bigint NOT NULL,
	"replica" integer NOT NULL,
	"token_hash" text NOT NULL,
	"instance" text,
	"seen_at" timestamp(6) with time zone,
	"commands" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"report_sequence" integer DEFAULT -1 NOT NULL,
	"report" json,
	"result" json,
	CONSTRAINT "pumps_run_id_replica_pk" PRIMARY KEY("run_id","replica")
);
--> statement-breakpoint
ALTER TABLE "pumps" ADD CONSTRAINT "pumps_run_id_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "public"."runs"("id") ON DELETE cascade ON UPDATE no action;
--> statement-breakpoint
CREATE FUNCTION pumps_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('tyger_pumps', NEW.run_id || '/' || NEW.replica);
  RETURN NULL;
END
$$;
--> statement-breakpoint
-- Not when a pump only says that it is there, which each does several times a minute.
CREATE TRIGGER pumps_updated AFTER UPDATE ON pumps FOR EACH ROW
WHEN (OLD.commands <> NEW.commands OR OLD.report_sequence <> NEW.report_sequence OR OLD.result IS NULL AND NEW.result IS NOT NULL)
EXECUTE FUNCTION pumps_updated();
