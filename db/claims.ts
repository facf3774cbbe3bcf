import { and, eq, inArray, isNull, or, sql, type SQL } from "drizzle-orm";
import { CodedError } from "../model/errors.ts";
import type { LaunchClaim, LaunchClaims } from "../model/ports/compute.ts";
import { belongsToAnother, type RunIdentity } from "../model/run/identity.ts";
import type { Db } from "./client.ts";
import { present } from "./row.ts";
import { isOpen, launches, runs } from "./schema.ts";

/** Launch claims: each step is one compare-and-set, so that one of two attempts loses. */
export function launchClaims(db: Db): LaunchClaims {
  /** A fresh claim, in one statement; undefined when there is one already, or the run must not be launched. */
  const make = async (run: RunIdentity, replica: number, attempt: string): Promise<LaunchClaim | undefined> => {
    // Held until the claim is in: a cancel or an end comes wholly before it, and is seen, or wholly after it.
    const made = await db.execute(
      sql`insert into launches (run_id, run_uid, replica, attempt, state)
        select id, uid, ${replica}::integer, ${attempt}::text, 'claimed' from runs where ${mayLaunch(run)} for share
        on conflict do nothing returning run_id`,
    );
    return made.length === 1 ? { ...ownerOf(run), replica, attempt, state: "claimed" } : undefined;
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
    async claim(run, replica, attempt) {
      const made = await make(run, replica, attempt);
      if (made) return made;
      const isLaunchable = (await db.$count(runs, mayLaunch(run))) === 1;
      if (!isLaunchable) return undefined;
      const found = await findClaim(db, run, replica);
      // A claim that was in the way and is not ours: claims never go.
      if (!found) throw new CodedError("LaunchFailed", belongsToAnother("The launch claim", run.id));
      return found;
    },

    find: (run, replica) => findClaim(db, run, replica),
    findAll: async (run) => (await db.select().from(launches).where(isOfRun(run))).map(claimOf),

    recordContainer: (run, replica, attempt, containerId) =>
      move(
        { containerId },
        isOf(run, replica),
        eq(launches.attempt, attempt),
        or(eq(launches.state, "claimed"), and(eq(launches.state, "launched"), eq(launches.containerId, containerId))),
      ),

    recordLaunched: (run, replica, attempt) =>
      move(
        { state: "launched" },
        isOf(run, replica),
        eq(launches.attempt, attempt),
        inArray(launches.state, ["claimed", "launched"]),
      ),

    async forgetContainer(run, replica, containerId) {
      await move(
        { containerId: null },
        isOf(run, replica),
        eq(launches.containerId, containerId),
        inArray(launches.state, ["claimed", "removed"]),
      );
    },

    takeOver: (run, replica, from, to) =>
      move(
        { attempt: to, containerId: null },
        isOf(run, replica),
        eq(launches.attempt, from),
        eq(launches.state, "claimed"),
      ),

    async markRemoved(run, replica) {
      const remove = async (): Promise<LaunchClaim | undefined> => {
        const [claim] = await db.update(launches).set({ state: "removed" }).where(isOf(run, replica)).returning();
        return claim && claimOf(claim);
      };
      const claim = await remove();
      if (claim) return claim;
      const marker = { ...ownerOf(run), replica, attempt: "", state: "removed" as const };
      const made = await db.insert(launches).values(marker).onConflictDoNothing().returning();
      // Else a claim came between, and no claim ever goes; that of another run stays, and refuses every launch of this one.
      return made.length > 0 ? undefined : remove();
    },
  };
}

const mayLaunch = ({ id, uid }: RunIdentity): SQL =>
  sql`id = ${id} and uid is not distinct from ${uid ?? null}::text and ${isOpen} and cancel_requested_at is null`;

type LaunchRow = typeof launches.$inferSelect;

const isOfRun = ({ id, uid }: RunIdentity): SQL | undefined =>
  and(eq(launches.runId, id), uid === undefined ? isNull(launches.runUid) : eq(launches.runUid, uid));

const isOf = (run: RunIdentity, replica: number): SQL | undefined => and(isOfRun(run), eq(launches.replica, replica));

const ownerOf = ({ id, uid }: RunIdentity): Pick<LaunchClaim, "runId" | "runUid"> => ({
  runId: id,
  ...(uid === undefined ? {} : { runUid: uid }),
});

async function findClaim(db: Db, run: RunIdentity, replica: number): Promise<LaunchClaim | undefined> {
  const [row] = await db.select().from(launches).where(isOf(run, replica));
  return row && claimOf(row);
}

const claimOf = ({ runId, runUid, replica, attempt, containerId, state }: LaunchRow): LaunchClaim => ({
  runId,
  replica,
  attempt,
  state,
  ...present({ runUid, containerId }),
});
