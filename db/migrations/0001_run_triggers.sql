-- What follows from a row of runs, in the transaction that writes it: its tags by status, the counts, the notice.
-- Statement level, with transition tables: a million rows written at once are counted in one step.

CREATE FUNCTION add_to_run_counts(statuses run_status[], amounts bigint[]) RETURNS void LANGUAGE sql AS $$
  -- In the order of statuses, so that two writers of one shard never wait for each other in a circle.
  INSERT INTO run_counts AS kept (status, shard, total)
  SELECT status, pg_backend_pid() % 32, sum(amount)
  FROM unnest(statuses, amounts) AS change (status, amount)
  GROUP BY status ORDER BY status
  ON CONFLICT (status, shard) DO UPDATE SET total = kept.total + excluded.total
$$;
--> statement-breakpoint
CREATE FUNCTION runs_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO run_tags (run_id, key, value, status, created_at)
  SELECT run.id, tag.key, tag.value, run.shown_status, run.created_at
  FROM inserted AS run CROSS JOIN LATERAL json_each_text(run.tags) AS tag;

  PERFORM add_to_run_counts(array_agg(shown_status), array_agg(total))
  FROM (SELECT shown_status, count(*) AS total FROM inserted GROUP BY shown_status) AS added
  HAVING count(*) > 0;

  PERFORM pg_notify('tyger_runs', id::text) FROM inserted;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE FUNCTION runs_updated() RETURNS trigger LANGUAGE plpgsql AS $$
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

  PERFORM pg_notify('tyger_runs', id::text) FROM after;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER runs_inserted AFTER INSERT ON runs
REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION runs_inserted();
--> statement-breakpoint
CREATE TRIGGER runs_updated AFTER UPDATE ON runs
REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION runs_updated();
