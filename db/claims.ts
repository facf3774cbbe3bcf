import { and, eq, inArray, or, sql, type SQL } from "drizzle-orm";
import type { LaunchClaim, LaunchClaims } from "../model/ports/compute.ts";
import type { Db } from "./client.ts";
import { present } from "./row.ts";
import { isOpen, launches, runs } from "./schema.ts";

/** Launch claims: each step is one compare-and-set, so that one of two attempts loses. */
export function launchClaims(db: Db): LaunchClaims {
  /** A fresh claim, in one statement; undefined when there is one already, or the run must not be launched. */
  const make = async (runId: number, replica: number, attempt: string): Promise<LaunchClaim | undefined> => {
    // Held until the claim is in: a cancel or an end comes wholly before it, and is seen, or wholly after it.
    const made = await db.execute(
      sql`insert into launches (run_id, replica, attempt, state)
        select id, ${replica}::integer, ${attempt}::text, 'claimed' from runs where ${mayLaunch(runId)} for share
        on conflict do nothing returning run_id`,
    );
    return made.length === 1 ? { runId, replica, attempt, state: "claimed" } : undefined;
  };
  const move = async (set: Partial<LaunchRow>, ...conditions: (SQL | undefined)[]): Promise<boolean> =>
    (
      await db
        .update(launches)
        .set(set)
        .where(and(...conditions))
        .returning()
    ).length === 1;

  return {
    async claim(runId, replica, attempt) {
      const made = await make(runId, replica, attempt);
      if (made) return made;
      const isLaunchable = (await db.$count(runs, mayLaunch(runId))) === 1;
      return isLaunchable ? findClaim(db, runId, replica) : undefined;
    },

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

    async markRemoved(runId, replica) {
      const marker = { runId, replica, attempt: "", state: "removed" as const };
      for (;;) {
        const [claim] = await db.update(launches).set({ state: "removed" }).where(isOf(runId, replica)).returning();
        if (claim) return claimOf(claim);
        const made = await db.insert(launches).values(marker).onConflictDoNothing().returning();
        // Else a claim came between, and no claim ever goes.
        if (made.length > 0) return undefined;
      }
    },
  };
}

const mayLaunch = (runId: number): SQL => sql`id = ${runId} and ${isOpen} and cancel_requested_at is null`;

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
