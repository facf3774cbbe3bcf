import { and, eq, isNull, sql } from "drizzle-orm";
import type { Db } from "../client.ts";
import { isOpen, runs } from "../schema.ts";

/** Started, not admitted, and not about to end: such a run waits for a place, and older ones come first. */
const isWaiting = sql`${isOpen} and admitted_at is null and workflow_started_at is not null and cancel_requested_at is null`;

/** How many of `limit` places are free. */
const freeOf = (limit: number) =>
  sql`(${limit} - (select count(*) from runs where ${isOpen} and admitted_at is not null))`;

/** How many runs older than `id` wait for a place, as far as that decides over one of `limit`. */
const olderThan = (id: number, limit: number) =>
  sql`(select count(*) from (select from runs where ${isWaiting} and id < ${id} limit ${limit}) as older)`;

/**
 * Gives the run one of `limit` places, unless those that are free belong to older runs that wait for one. A run that is
 * refused is offered one later.
 */
export async function admitRun(db: Db, id: number, limit: number): Promise<boolean> {
  if (await takePlace(db, id, limit)) return true;
  const mayWait = and(eq(runs.id, id), isOpen, isNull(runs.admittedAt), isNull(runs.cancelRequestedAt));
  const queuedAt = sql`coalesce(${runs.queuedAt}, clock_timestamp())`;
  const [queued] = await db.update(runs).set({ queuedAt }).where(mayWait).returning({ id: runs.id });
  // A place that became free before this was written was not offered to the run.
  if (queued) return takePlace(db, id, limit);
  const isThis = and(eq(runs.id, id), isOpen);
  const [run] = await db.select({ admittedAt: runs.admittedAt }).from(runs).where(isThis);
  return run !== undefined && run.admittedAt !== null;
}

/** False also for a run that has a place, or needs none. Admissions take turns, so that two never take the same one. */
async function takePlace(db: Db, id: number, limit: number): Promise<boolean> {
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
 * The runs whose turn it is: the oldest that wait, as many as there are free places. One that has not asked for its
 * place yet keeps its turn and is not among them: it will ask by itself.
 */
export async function nextToAdmit(db: Db, limit: number): Promise<number[]> {
  const next = await db.execute<{ id: string; queued: boolean }>(
    sql`select id, queued_at is not null as queued from runs where ${isWaiting} order by id limit greatest(0, ${freeOf(limit)})`,
  );
  return next.filter(({ queued }) => queued).map(({ id }) => Number(id));
}
