-- No run is written until the counts have the cluster.
LOCK TABLE runs IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
DROP INDEX "runs_open";--> statement-breakpoint
DROP INDEX "runs_without_slot";--> statement-breakpoint
DROP INDEX "runs_unarchived";--> statement-breakpoint
ALTER TABLE "run_counts" DROP CONSTRAINT "run_counts_status_shard_pk";--> statement-breakpoint
ALTER TABLE "run_counts" ADD COLUMN "cluster" text DEFAULT 'docker' NOT NULL;--> statement-breakpoint
ALTER TABLE "run_counts" ADD CONSTRAINT "run_counts_status_cluster_shard_pk" PRIMARY KEY("status","cluster","shard");--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "cluster" text DEFAULT 'docker' NOT NULL;--> statement-breakpoint
CREATE INDEX "runs_open" ON "runs" USING btree ("cluster","id") WHERE status in ('Pending', 'Running');--> statement-breakpoint
CREATE INDEX "runs_without_slot" ON "runs" USING btree ("cluster","id") WHERE status in ('Pending', 'Running') and admitted_at is null and workflow_started_at is not null and cancel_requested_at is null;--> statement-breakpoint
CREATE INDEX "runs_unarchived" ON "runs" USING btree ("cluster","id") WHERE status not in ('Pending', 'Running') and archived_at is null;
--> statement-breakpoint
CREATE FUNCTION add_to_run_counts(statuses run_status[], clusters text[], totals bigint[], admissions bigint[])
RETURNS void LANGUAGE sql AS $$
  -- In one order, so that two writers of one shard never wait for each other in a circle.
  INSERT INTO run_counts AS kept (status, cluster, shard, total, admitted)
  SELECT status, cluster, pg_backend_pid() % 32, total, admitted
  FROM unnest(statuses, clusters, totals, admissions) AS change (status, cluster, total, admitted)
  ORDER BY status, cluster
  ON CONFLICT (status, cluster, shard) DO UPDATE
  SET total = kept.total + excluded.total, admitted = kept.admitted + excluded.admitted
$$;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION runs_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO run_tags (run_id, key, value, status, created_at)
  SELECT run.id, tag.key, tag.value, run.shown_status, run.created_at
  FROM inserted AS run CROSS JOIN LATERAL json_each_text(run.tags) AS tag;

  PERFORM add_to_run_counts(array_agg(shown_status), array_agg(cluster), array_agg(total), array_agg(admitted))
  FROM (
    SELECT shown_status, cluster, count(*) AS total, count(admitted_at) AS admitted
    FROM inserted GROUP BY shown_status, cluster
  ) AS added
  HAVING count(*) > 0;

  PERFORM pg_notify('tyger_runs', id::text) FROM inserted;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION runs_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  has_other_tags boolean;
  has_moved boolean;
  has_other_counts boolean;
BEGIN
  SELECT bool_or(after.tags::text <> before.tags::text),
    bool_or((after.shown_status, after.created_at) <> (before.shown_status, before.created_at)),
    bool_or((after.shown_status, after.cluster, after.admitted_at IS NULL)
      <> (before.shown_status, before.cluster, before.admitted_at IS NULL))
  INTO has_other_tags, has_moved, has_other_counts
  FROM after JOIN before USING (id);

  IF has_other_tags THEN
    DELETE FROM run_tags USING after JOIN before USING (id)
    WHERE run_tags.run_id = after.id AND after.tags::text <> before.tags::text;
    INSERT INTO run_tags (run_id, key, value, status, created_at)
    SELECT after.id, tag.key, tag.value, after.shown_status, after.created_at
    FROM after JOIN before USING (id) CROSS JOIN LATERAL json_each_text(after.tags) AS tag
    WHERE after.tags::text <> before.tags::text;
  END IF;

  IF has_moved THEN
    UPDATE run_tags SET status = after.shown_status, created_at = after.created_at
    FROM after JOIN before USING (id)
    WHERE run_tags.run_id = after.id
      AND (after.shown_status, after.created_at) <> (before.shown_status, before.created_at);
  END IF;

  IF has_other_counts THEN
    PERFORM add_to_run_counts(array_agg(shown_status), array_agg(cluster), array_agg(total), array_agg(admitted))
    FROM (
      SELECT shown_status, cluster, sum(amount) AS total,
        sum(CASE WHEN admitted_at IS NULL THEN 0 ELSE amount END) AS admitted
      FROM (
        SELECT shown_status, cluster, admitted_at, 1 AS amount FROM after
        UNION ALL SELECT shown_status, cluster, admitted_at, -1 FROM before
      ) AS changes
      GROUP BY shown_status, cluster
    ) AS changed;
  END IF;

  -- No process waits for what only the worker reads: when a workflow was started, or a slot was asked for or given.
  PERFORM pg_notify('tyger_runs', id::text) FROM after JOIN before USING (id)
  WHERE (after.shown_status, after.revision, after.archived_at, after.tags::text)
    IS DISTINCT FROM (before.shown_status, before.revision, before.archived_at, before.tags::text);
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION runs_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM run_tags USING deleted WHERE run_tags.run_id = deleted.id;

  PERFORM add_to_run_counts(array_agg(shown_status), array_agg(cluster), array_agg(-total), array_agg(-admitted))
  FROM (
    SELECT shown_status, cluster, count(*) AS total, count(admitted_at) AS admitted
    FROM deleted GROUP BY shown_status, cluster
  ) AS removed
  HAVING count(*) > 0;
  RETURN NULL;
END
$$;
--> statement-breakpoint
DROP FUNCTION add_to_run_counts(run_status[], bigint[], bigint[]);
