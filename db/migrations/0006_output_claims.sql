CREATE TABLE "output_claims" (
	"buffer_id" text collate "C" PRIMARY KEY NOT NULL,
	"run_id" bigint NOT NULL,
	"has_token" boolean DEFAULT true NOT NULL
);
--> statement-breakpoint
ALTER TABLE "output_claims" ADD CONSTRAINT "output_claims_run_id_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "public"."runs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "output_claims_of_run" ON "output_claims" USING btree ("run_id");--> statement-breakpoint
-- Runs of versions whose pumps wrote no token. Two of them could have one output: the older open one keeps it. An ended one
-- whose logs are not archived can have been interrupted before its outputs got their end marks.
INSERT INTO output_claims (buffer_id, run_id, has_token)
SELECT given.buffer_id, run.id, false
FROM runs AS run
CROSS JOIN LATERAL json_each_text(coalesce(run.job -> 'buffers', '{}')) AS given (parameter, buffer_id)
WHERE (run.status IN ('Pending', 'Running') OR run.archived_at IS NULL)
  AND (run.job -> 'codespec' -> 'buffers' -> 'outputs')::jsonb ? given.parameter
ORDER BY run.status IN ('Pending', 'Running') DESC, run.id
ON CONFLICT DO NOTHING;
