import type postgres from "postgres";

/** SQL over `i`, the number of the run, for columns of many runs. */
export interface ManyRuns {
  count: number;
  status?: string;
  createdAt?: string;
  /** A condition for each tag, which has the value `yes` where it holds. */
  tags: Record<string, string>;
}

/** Inserts runs that have no jobs, in one statement, and gathers statistics, as the server itself does a little later. */
export async function insertManyRuns(
  client: postgres.Sql,
  { count, status, createdAt, tags }: ManyRuns,
): Promise<void> {
  const pairs = Object.entries(tags).map(([key, isTagged]) => `case when ${isTagged} then '"${key}":"yes"' end`);
  await client.unsafe(`
    insert into runs (status, created_at, tags, job, timeout_seconds, buffer_access_ttl, workflow_started_at, admitted_at, archived_at)
    select (${status ?? "'Succeeded'"})::run_status, ${createdAt ?? "timestamptz '2026-01-01' + i * interval '1 second'"},
      ('{' || concat_ws(',', ${pairs.join(", ")}) || '}')::json,
      '{"codespec":{"kind":"job","image":"ubuntu","command":["true"]}}', 43200, '01:00:00', now(), now(), now()
    from generate_series(1, ${count}) as i`);
  await client.unsafe("vacuum analyze runs, run_tags");
}
