import { and, eq, isNull, sql } from "drizzle-orm";
import type { Db } from "../client.ts";
import { isOpen, runs } from "../schema.ts";

/** Started, not admitted, and not about to end: such a run needs a slot, and the oldest gets it first. */
const needsSlot = sql`${isOpen} and admitted_at is null and workflow_started_at is not null and cancel_requested_at is null`;

/** How many of `limit` slots are free. */
const freeOf = (limit: number) =>
  sql`(${limit} - (select count(*) from runs where ${isOpen} and admitted_at is not null))`;

/** How many older runs than `id` need a slot, counted up to `limit`, as more change nothing. */
const olderThan = (id: number, limit: number) =>
  sql`(select count(*) from (select from runs where ${needsSlot} and id < ${id} limit ${limit}) as older)`;

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
      sql`${olderThan(id, limit)} < ${freeOf(limit)}`,
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
