import { and, eq, isNull, sql } from "drizzle-orm";
import type { Db } from "../client.ts";
import { SOLE_CLUSTER } from "../../model/run/names.ts";
import { isOpen, isShownOpen, needsSlot, runCounts, runs } from "../schema.ts";

/** The slots of a cluster: how many of its runs can be admitted at once. */
export interface Slots {
  cluster: string;
  limit: number;
}

/** How many of the slots are free: the kept counts have the open runs that were admitted. */
const freeOf = ({ cluster, limit }: Slots) =>
  sql`(select ${limit} - coalesce(sum(admitted), 0)::bigint from ${runCounts} where ${isShownOpen} and cluster = ${cluster})`;

/** Whether a slot is left for `id` when each older run that needs one has got it. No more of them are read than are free. */
const isNext = (id: number, slots: Slots) => sql`exists (
  select from (select ${freeOf(slots)} as free) as slots where free > (
    select count(*) from (
      select from runs where ${needsSlot} and cluster = ${slots.cluster} and id < ${id} limit greatest(0, free)) as older))`;

/**
 * Admits a run of the cluster to one of its slots, unless the free ones belong to older runs. A run that is refused is
 * queued, and is offered a slot later.
 */
export async function admitRun(db: Db, id: number, slots: Slots): Promise<boolean> {
  if (await takeSlot(db, id, slots)) return true;
  const isThe = and(eq(runs.id, id), eq(runs.cluster, slots.cluster));
  const isRefused = and(isThe, isOpen, isNull(runs.admittedAt), isNull(runs.cancelRequestedAt));
  const queuedAt = sql`coalesce(${runs.queuedAt}, clock_timestamp())`;
  const [queued] = await db.update(runs).set({ queuedAt }).where(isRefused).returning({ id: runs.id });
  // A slot that became free before this was written was not offered to the run.
  if (queued) return takeSlot(db, id, slots);
  const [run] = await db.select({ admittedAt: runs.admittedAt }).from(runs).where(and(isThe, isOpen));
  return run !== undefined && run.admittedAt !== null;
}

/** False also for a run that has a slot or needs none. Admissions of a cluster take turns, so that two never take the same slot. */
async function takeSlot(db: Db, id: number, slots: Slots): Promise<boolean> {
  return db.transaction(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${lockOf(slots)}::text, 0))`);
    const mayEnter = and(
      eq(runs.id, id),
      eq(runs.cluster, slots.cluster),
      isOpen,
      isNull(runs.admittedAt),
      isNull(runs.cancelRequestedAt),
      isNext(id, slots),
    );
    const set = { admittedAt: sql`clock_timestamp()` };
    const admitted = await tx.update(runs).set(set).where(mayEnter).returning({ id: runs.id });
    return admitted.length === 1;
  });
}

/** Workers of older versions know the one lock, without a cluster. */
const lockOf = ({ cluster }: Slots): string =>
  cluster === SOLE_CLUSTER ? "tyger admission" : `tyger admission ${cluster}`;

/**
 * The queued runs of the cluster whose turn it is: of the oldest without a slot, as many as there are free slots. One that has not
 * asked yet keeps its turn and is left out: it will ask by itself.
 */
export async function nextToAdmit(db: Db, slots: Slots): Promise<number[]> {
  // The ids alone are in the index of those without a slot; for more columns, walking all runs can seem as cheap.
  const next = await db.execute<{ id: string; queued: boolean }>(
    sql`with next as materialized (
        select id from runs where ${needsSlot} and cluster = ${slots.cluster} order by id limit greatest(0, ${freeOf(slots)}))
      select id, queued_at is not null as queued from next join runs using (id) order by id`,
  );
  return next.filter(({ queued }) => queued).map(({ id }) => Number(id));
}
