import { and, eq, isNotNull, isNull, sql } from "drizzle-orm";
import type { Db } from "./client.ts";
import { isOpen, runs } from "./schema.ts";

/** Started, not admitted, and not about to end: such a run waits for a place, and older ones come first. */
const isWaiting = and(
  isOpen,
  isNull(runs.admittedAt),
  isNotNull(runs.workflowStartedAt),
  isNull(runs.cancelRequestedAt),
);

/**
 * Gives the run one of `limit` places, unless those that are free belong to older runs that wait for one. Admissions
 * take turns, so that two never take the same place.
 */
export async function admitRun(db: Db, id: number, limit: number): Promise<boolean> {
  const isThis = and(eq(runs.id, id), isOpen);
  const [run] = await db.select().from(runs).where(isThis);
  if (!run || run.admittedAt !== null) return run !== undefined;
  return db.transaction(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('tyger admission', 0))`);
    // Another call for this run may have been first.
    const [seen] = await tx.select().from(runs).where(isThis);
    if (!seen || seen.admittedAt !== null) return seen !== undefined;
    const free = await freePlaces(tx, limit);
    if (free <= 0) return false;
    const older = await tx
      .select({ id: runs.id })
      .from(runs)
      .where(and(isWaiting, sql`${runs.id} < ${id}`))
      .limit(free);
    if (older.length >= free) return false;
    const mayEnter = and(isThis, isNull(runs.admittedAt), isNull(runs.cancelRequestedAt));
    const admitted = await tx
      .update(runs)
      .set({ admittedAt: sql`clock_timestamp()` })
      .where(mayEnter)
      .returning();
    return admitted.length === 1;
  });
}

/** The runs whose turn it is: the oldest that wait, as many as there are free places. */
export async function nextToAdmit(db: Db, limit: number): Promise<number[]> {
  const free = await freePlaces(db, limit);
  if (free <= 0) return [];
  const waiting = await db.select({ id: runs.id }).from(runs).where(isWaiting).orderBy(runs.id).limit(free);
  return waiting.map(({ id }) => id);
}

async function freePlaces(db: Db, limit: number): Promise<number> {
  return limit - (await db.$count(runs, and(isOpen, isNotNull(runs.admittedAt))));
}
