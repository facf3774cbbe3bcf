import { getTableColumns, sql, type SQL } from "drizzle-orm";
import type { Page, PageQuery, RunFilter } from "../../model/ports/records.ts";
import { RUN_STATUSES, type Run, type RunStatus } from "../../model/run/run.ts";
import { normalTimestamp } from "../../model/time/timestamp.ts";
import type { Db } from "../client.ts";
import { runCursorOf, tokenOf, type RunCursor } from "../continuation.ts";
import { piece, pieceOf } from "../piece.ts";
import { recordOf } from "./run-row.ts";
import { runCounts, runs, runTags } from "../schema.ts";
import { refuseUnstorable } from "../storable.ts";

/**
 * A piece of a page of runs, newest first. With a filter the page is merged from one index walk a status, each in the order of
 * the page and no longer than the page: the cost does not depend on how many runs there are or match.
 */
export async function listRuns(db: Db, { limit, after, ...filter }: PageQuery & RunFilter): Promise<Page<Run>> {
  const cursor = after === undefined ? undefined : runCursorOf(after);
  if (limit === 0) return { items: [] };
  const walk = await walkOf(db, filter);
  const isBefore = (createdAt: SQL, id: SQL): SQL =>
    cursor === undefined
      ? sql`true`
      : sql`(${createdAt}, ${id}) < (${cursor.createdAt}::timestamptz, ${cursor.id}::bigint)`;
  const entries = sql`
    select page.id, page.created_at from (${asRows(walk.statuses)}) as wanted (status) cross join lateral (
      select ${walk.id} as id, ${walk.createdAt} as created_at from ${walk.table}
      where ${walk.status} = wanted.status and ${walk.matches} and ${isBefore(walk.createdAt, walk.id)}
      order by ${walk.createdAt} desc, ${walk.id} desc limit ${limit + 1}
    ) as page order by page.created_at desc, page.id desc limit ${limit + 1}`;
  const listed = sql`
    select count(*)::integer as total, array_agg(id order by created_at desc, id desc) as ids from (${entries}) as entry`;
  const bytesOfNext = sql`
    select octet_length(job::text) + octet_length(tags::text) + coalesce(octet_length(status_reason), 0)
    from runs where id = listed.ids[filled.n + 1]`;
  const rows = await db
    .select({ run: getTableColumns(runs), total: piece.total })
    .from(runs)
    .innerJoin(pieceOf(listed, bytesOfNext, sql`listed.ids[filled.n] as id`), sql`${runs.id} = piece.id`)
    .orderBy(piece.n);
  const items = rows.slice(0, limit).map(({ run }) => recordOf(run));
  const last = items.at(-1);
  const hasMore = (rows[0]?.total ?? 0) > items.length;
  return hasMore && last ? { items, next: tokenOf(last satisfies RunCursor) } : { items };
}

/** How many runs of each shown status match; statuses with none are left out. */
export async function countRuns(db: Db, filter: RunFilter): Promise<Partial<Record<RunStatus, number>>> {
  const walk = await walkOf(db, filter);
  const isKeptCount = filter.since === undefined && Object.keys(filter.tags ?? {}).length === 0;
  // A double holds every count exactly; a bigint would come back as text.
  const totals = isKeptCount
    ? sql`select sum(${runCounts.total})::float8 as total from ${runCounts} where ${runCounts.status} = wanted.status`
    : sql`select count(*)::float8 as total from ${walk.table} where ${walk.status} = wanted.status and ${walk.matches}`;
  const rows = await db.execute<{ status: RunStatus; total: number }>(sql`
    select wanted.status, counted.total from (${asRows(walk.statuses)}) as wanted (status)
    cross join lateral (${totals}) as counted where counted.total > 0`);
  return Object.fromEntries(rows.map(({ status, total }) => [status, total]));
}

/** The table whose index the filter is answered from, its columns, and the conditions left to check at each entry. */
interface Walk {
  table: SQL;
  id: SQL;
  createdAt: SQL;
  status: SQL;
  statuses: readonly RunStatus[];
  matches: SQL;
}

async function walkOf(db: Db, { since, statuses, tags = {} }: RunFilter): Promise<Walk> {
  refuseUnstorable(tags);
  const wanted = statuses?.length ? RUN_STATUSES.filter((status) => statuses.includes(status)) : RUN_STATUSES;
  const isSince = (createdAt: SQL): SQL =>
    since === undefined ? sql`true` : sql`${createdAt} > ${normalTimestamp(since)}::timestamptz`;
  const [rarest, ...others] = await rarestFirst(db, Object.entries(tags));
  if (rarest === undefined) {
    const createdAt = sql`${runs.createdAt}`;
    const columns = { id: sql`${runs.id}`, createdAt, status: sql`${runs.shownStatus}` };
    return { table: sql`${runs}`, ...columns, statuses: wanted, matches: isSince(createdAt) };
  }
  const createdAt = sql`tag.created_at`;
  const hasOthers = others.map(
    ([key, value]) => sql`exists (
      select from ${runTags} as other where other.run_id = tag.run_id and other.key = ${key} and other.value = ${value})`,
  );
  const conditions = [sql`tag.key = ${rarest[0]} and tag.value = ${rarest[1]}`, isSince(createdAt), ...hasOthers];
  return {
    table: sql`${runTags} as tag`,
    id: sql`tag.run_id`,
    createdAt,
    status: sql`tag.status`,
    statuses: wanted,
    matches: sql.join(conditions, sql` and `),
  };
}

/** Enough to tell a rare tag from a common one without reading all of it. */
const ENOUGH_TO_COMPARE = 1000;

/** The rarest of several tags is walked, and the others are looked up for each of its runs. */
async function rarestFirst(db: Db, tags: [string, string][]): Promise<[string, string][]> {
  if (tags.length < 2) return tags;
  const counts = tags.map(
    ([key, value], index) => sql`select ${index}::int as index, count(*)::int as total from (
      select from ${runTags} where key = ${key} and value = ${value} limit ${ENOUGH_TO_COMPARE}) as capped`,
  );
  const rows = await db.execute<{ index: number }>(
    sql`select index from (${sql.join(counts, sql` union all `)}) as compared order by total`,
  );
  return rows.flatMap(({ index }) => tags.slice(index, index + 1));
}

const asRows = (statuses: readonly RunStatus[]): SQL =>
  sql`values ${sql.join(
    statuses.map((status) => sql`(${status}::run_status)`),
    sql`, `,
  )}`;
