import { getTableColumns, sql, type SQL } from "drizzle-orm";
import type { Page, PageQuery, RunFilter } from "../../model/ports/records.ts";
import { RUN_STATUSES, type Run, type RunStatus } from "../../model/run/run.ts";
import { normalTimestamp } from "../../model/time/timestamp.ts";
import type { Db } from "../client.ts";
import { runCursorOf, tokenOf, type RunCursor } from "../continuation.ts";
import { piece, pieceOf } from "../piece.ts";
import { recordOf } from "./run-row.ts";
import { runsWithAll, type Tag } from "./tagged-runs.ts";
import { runCounts, runs, runTags } from "../schema.ts";
import { refuseUnstorable } from "../storable.ts";

/**
 * A piece of a page of runs, newest first. The page is merged from one index walk a status, each in the order of the page and
 * no longer than the page: the cost does not depend on how many runs there are or match.
 */
export async function listRuns(db: Db, { limit, after, ...filter }: PageQuery & RunFilter): Promise<Page<Run>> {
  const cursor = after === undefined ? undefined : runCursorOf(after);
  refuseUnstorable(filter.tags);
  if (limit === 0) return { items: [] };
  const wanted = wantedOf(filter).map((status) => sql`(${asStatus(status)})`);
  const entries = sql`
    select page.id, page.created_at from (values ${sql.join(wanted, sql`, `)}) as wanted (status)
    cross join lateral (${walkOf(filter, cursor, limit + 1)}) as page
    order by page.created_at desc, page.id desc limit ${limit + 1}`;
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
  refuseUnstorable(filter.tags);
  const [first, ...others] = tagsOf(filter);
  // All columns of the index, so that a server without statistics looks up one entry of it at a time at worst.
  const hasOthers = others.map((tag) => sql`(status, created_at, id) in (${entriesOf(tag)})`);
  const isWanted = sql`status in (${sql.join(wantedOf(filter).map(asStatus), sql`, `)})`;
  const conditions = sql.join([isWanted, sinceOf(filter), ...hasOthers], sql` and `);
  const isKeptCount = first === undefined && filter.since === undefined;
  // A double holds every count exactly; a bigint would come back as text.
  const totals = isKeptCount
    ? sql`select status, sum(total)::float8 as total from ${runCounts} where ${isWanted} group by status`
    : sql`select status, count(*)::float8 as total from (${entriesOf(first)}) as entry where ${conditions} group by status`;
  const rows = await db.execute<{ status: RunStatus; total: number }>(totals);
  return Object.fromEntries(rows.filter(({ total }) => total > 0).map(({ status, total }) => [status, total]));
}

/** The newest `limit` runs of the status `wanted.status` after the cursor, by id and instant. */
function walkOf(filter: RunFilter, cursor: RunCursor | undefined, limit: number): SQL {
  const before = cursor
    ? sql`${cursor.createdAt}::timestamptz, ${cursor.id}::bigint`
    : sql`'infinity'::timestamptz, 0::bigint`;
  const [first, ...others] = tagsOf(filter);
  const stretch = { status: sql`wanted.status`, before, isSince: sinceOf(filter), limit };
  if (first !== undefined && others.length > 0) return runsWithAll([first, ...others], stretch);
  return sql`
    select id, created_at from (${entriesOf(first)}) as entry
    where status = ${stretch.status} and (created_at, id) < (${before}) and ${stretch.isSince}
    order by created_at desc, id desc limit ${limit}`;
}

/** The index entries of all runs, or of those with a tag. */
const entriesOf = (tag: Tag | undefined): SQL =>
  tag === undefined
    ? sql`select shown_status as status, created_at, id from ${runs}`
    : sql`select status, created_at, run_id as id from ${runTags} where key = ${tag[0]} and value = ${tag[1]}`;

const tagsOf = ({ tags = {} }: RunFilter): Tag[] => Object.entries(tags);

const wantedOf = ({ statuses }: RunFilter): readonly RunStatus[] =>
  statuses?.length ? RUN_STATUSES.filter((status) => statuses.includes(status)) : RUN_STATUSES;

const sinceOf = ({ since }: RunFilter): SQL =>
  since === undefined ? sql`true` : sql`created_at > ${normalTimestamp(since)}::timestamptz`;

const asStatus = (status: RunStatus): SQL => sql`${status}::run_status`;
