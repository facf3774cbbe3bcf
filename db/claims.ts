import { and, eq, inArray, isNull, or, type SQL } from "drizzle-orm";
import type { LaunchClaim, LaunchClaims } from "../model/compute.ts";
import type { Db } from "./client.ts";
import { present } from "./row.ts";
import { isOpen, launches, runs } from "./schema.ts";

/** The memory of launches: each step is one compare-and-set, so that of two attempts one loses. */
export function launchClaims(db: Db): LaunchClaims {
  const move = async (set: Partial<LaunchRow>, ...conditions: (SQL | undefined)[]): Promise<boolean> =>
    (
      await db
        .update(launches)
        .set(set)
        .where(and(...conditions))
        .returning()
    ).length === 1;

  return {
    claim: (runId, replica, attempt) =>
      db.transaction(async (tx) => {
        // Held until the claim is in: a cancel or an end comes wholly before it, and is seen, or wholly after it.
        const mayLaunch = and(eq(runs.id, runId), isOpen, isNull(runs.cancelRequestedAt));
        const [run] = await tx.select({ id: runs.id }).from(runs).where(mayLaunch).for("share");
        if (!run) return undefined;
        const fresh = { runId, replica, attempt, state: "claimed" as const };
        const [made] = await tx.insert(launches).values(fresh).onConflictDoNothing().returning();
        return made ? claimOf(made) : findClaim(tx, runId, replica);
      }),

    find: (runId, replica) => findClaim(db, runId, replica),

    recordContainer: (runId, replica, attempt, containerId) =>
      move(
        { containerId },
        isOf(runId, replica),
        eq(launches.attempt, attempt),
        or(eq(launches.state, "claimed"), and(eq(launches.state, "launched"), eq(launches.containerId, containerId))),
      ),

    recordLaunched: (runId, replica, attempt) =>
      move(
        { state: "launched" },
        isOf(runId, replica),
        eq(launches.attempt, attempt),
        inArray(launches.state, ["claimed", "launched"]),
      ),

    takeOver: (runId, replica, from, to) =>
      move(
        { attempt: to, containerId: null },
        isOf(runId, replica),
        eq(launches.attempt, from),
        eq(launches.state, "claimed"),
      ),

    markRemoved: (runId, replica) =>
      db.transaction(async (tx) => {
        const marker = { runId, replica, attempt: "", state: "removed" as const };
        const made = await tx.insert(launches).values(marker).onConflictDoNothing().returning();
        if (made.length > 0) return undefined;
        const [before] = await tx.select().from(launches).where(isOf(runId, replica)).for("update");
        await tx.update(launches).set({ state: "removed" }).where(isOf(runId, replica));
        return before && claimOf(before);
      }),
  };
}

type LaunchRow = typeof launches.$inferSelect;

const isOf = (runId: number, replica: number): SQL | undefined =>
  and(eq(launches.runId, runId), eq(launches.replica, replica));

async function findClaim(db: Db, runId: number, replica: number): Promise<LaunchClaim | undefined> {
  const [row] = await db.select().from(launches).where(isOf(runId, replica));
  return row && claimOf(row);
}

const claimOf = ({ runId, replica, attempt, containerId, state }: LaunchRow): LaunchClaim => ({
  runId,
  replica,
  attempt,
  state,
  ...present({ containerId }),
});
