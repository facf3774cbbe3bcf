ALTER TABLE "runs" ADD COLUMN "queued_at" timestamp(6) with time zone;
--> statement-breakpoint
-- Who was refused a place was not on record before.
UPDATE runs SET queued_at = clock_timestamp()
WHERE status IN ('Pending', 'Running') AND admitted_at IS NULL AND workflow_started_at IS NOT NULL;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION runs_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM after JOIN before USING (id) WHERE after.tags::text <> before.tags::text) THEN
    DELETE FROM run_tags USING after JOIN before USING (id)
    WHERE run_tags.run_id = after.id AND after.tags::text <> before.tags::text;
    INSERT INTO run_tags (run_id, key, value, status, created_at)
    SELECT after.id, tag.key, tag.value, after.shown_status, after.created_at
    FROM after JOIN before USING (id) CROSS JOIN LATERAL json_each_text(after.tags) AS tag
    WHERE after.tags::text <> before.tags::text;
  END IF;

  IF EXISTS (SELECT FROM after JOIN before USING (id) WHERE after.shown_status <> before.shown_status) THEN
    UPDATE run_tags SET status = after.shown_status
    FROM after JOIN before USING (id)
    WHERE run_tags.run_id = after.id AND after.shown_status <> before.shown_status;

    PERFORM add_to_run_counts(array_agg(shown_status), array_agg(total))
    FROM (
      SELECT shown_status, sum(amount)::bigint AS total
      FROM (
        SELECT shown_status, 1 AS amount FROM after UNION ALL SELECT shown_status, -1 FROM before
      ) AS changes
      GROUP BY shown_status HAVING sum(amount) <> 0
    ) AS moved;
  END IF;

  -- Nobody waits for what only the worker reads: when a workflow was started, or a place was asked for or given.
  PERFORM pg_notify('tyger_runs', id::text) FROM after JOIN before USING (id)
  WHERE (after.shown_status, after.revision, after.archived_at, after.tags::text)
    IS DISTINCT FROM (before.shown_status, before.revision, before.archived_at, before.tags::text);
  RETURN NULL;
END
$$;
