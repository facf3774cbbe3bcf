import { and, eq, isNull, sql } from "drizzle-orm";
import type { Db } from "../client.ts";
import { isOpen, isShownOpen, needsSlot, runCounts, runs } from "../schema.ts";

/** How many of `limit` slots are free: the kept counts have the open runs that were admitted. */
const freeOf = (limit: number) =>
  sql`(select ${limit} - coalesce(sum(admitted), 0)::bigint from ${runCounts} where ${isShownOpen})`;

/** Whether a slot is left for `id` when each older run that needs one has got it. No more of them are read than are free. */
const isNext = (id: number, limit: number) => sql`exists (
  select from (select ${freeOf(limit)} as free) as slots where free > (
    select count(*) from (select from runs where ${needsSlot} and id < ${id} limit greatest(0, free)) as older))`;

/**
 * Admits the run to one of `limit` slots, unless the free ones belong to older runs. A run that is refused is queued,
 * and is offered a slot later.
 */
export async function admitRun(db: Db, id: number, limit: number): Promise<boolean> {
  if (await takeSlot(db, id, limit)) return true;
  const isRefused = and(eq(runs.id, id), isOpen, isNull(runs.admittedAt), isNull(runs.cancelRequestedAt));
  const queuedAt = sql`coalesce(${runs.queuedAt}, clock_timestamp())`;
  const [queued] = await db.update(runs).set({ queuedAt }).where(isRefused).returning({ id: runs.id });
  // A slot that became free before this was written was not offered to the run.
  if (queued) return takeSlot(db, id, limit);
  const isThis = and(eq(runs.id, id), isOpen);
  const [run] = await db.select({ admittedAt: runs.admittedAt }).from(runs).where(isThis);
  return run !== undefined && run.admittedAt !== null;
}

/** False also for a run that has a slot or needs none. Admissions take turns, so that two never take the same slot. */
async function takeSlot(db: Db, id: number, limit: number): Promise<boolean> {
  return db.transaction(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('tyger admission', 0))`);
    const mayEnter = and(
      eq(runs.id, id),
      isOpen,
      isNull(runs.admittedAt),
      isNull(runs.cancelRequestedAt),
      isNext(id, limit),
    );
    const set = { admittedAt: sql`clock_timestamp()` };
    const admitted = await tx.update(runs).set(set).where(mayEnter).returning({ id: runs.id });
    return admitted.length === 1;
  });
}

/**
 * The queued runs whose turn it is: of the oldest without a slot, as many as there are free slots. One that has not
 * asked yet keeps its turn and is left out: it will ask by itself.
 */
export async function nextToAdmit(db: Db, limit: number): Promise<number[]> {
  const next = await db.execute<{ id: string; queued: boolean }>(
    sql`select id, queued_at is not null as queued from runs where ${needsSlot} order by id limit greatest(0, ${freeOf(limit)})`,
  );
  return next.filter(({ queued }) => queued).map(({ id }) => Number(id));
}
