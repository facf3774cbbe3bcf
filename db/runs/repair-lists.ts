import { and, eq, inArray, isNotNull, isNull, lte, not, or, sql, type SQL } from "drizzle-orm";
import type { ClusterRunRecords, RunState } from "../../model/ports/records.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import type { Db } from "../client.ts";
import { present } from "../row.ts";
import { isOpen, isUnarchived, outputClaims, runs } from "../schema.ts";

const now = sql`clock_timestamp()`;
const deadline = sql`(${runs.createdAt} + ${runs.timeoutSeconds} * interval '1 second')`;
/** Null for an instant that is not set. */
const msSince = (instant: SQL) => sql<number | null>`extract(epoch from ${now} - ${instant})::float8 * 1000`;
const key = { id: runs.id, uid: runs.uid };

/** More numbers than a query may have parameters are asked in several queries. */
const IDS_AT_ONCE = 10_000;

/** The lists in which the reconciler of a cluster finds the runs that it has to repair. All walk partial indexes, or ids. */
export function repairLists(
  db: Db,
  cluster: string,
): Pick<ClusterRunRecords, "unstarted" | "open" | "overdue" | "unarchived" | "unsettled" | "states"> {
  const isHere = eq(runs.cluster, cluster);
  return {
    unstarted: async () => {
      const isUnstarted = and(isHere, isOpen, isNull(runs.workflowStartedAt));
      return (await db.select(key).from(runs).where(isUnstarted).orderBy(runs.id)).map(identityOf);
    },

    open: async () => {
      const columns = { ...key, status: runs.status, replicaCount: runs.replicaCount };
      const rows = await db.select(columns).from(runs).where(and(isHere, isOpen)).orderBy(runs.id);
      return rows.map(({ status, replicaCount, ...row }) => ({
        ...identityOf(row),
        isRunning: status === "Running",
        replicaCount,
      }));
    },

    overdue: async () => {
      const isOverdue = and(isHere, isOpen, or(isNotNull(runs.cancelRequestedAt), lte(deadline, now)));
      const columns = {
        ...key,
        sinceCancelMs: msSince(sql`${runs.cancelRequestedAt}`),
        sinceDeadlineMs: sql<number | null>`case when ${deadline} <= ${now} then ${msSince(deadline)} end`,
      };
      const rows = await db.select(columns).from(runs).where(isOverdue).orderBy(runs.id);
      return rows.map(({ sinceCancelMs, sinceDeadlineMs, ...row }) => ({
        ...identityOf(row),
        ...present({ sinceCancelMs, sinceDeadlineMs }),
      }));
    },

    unarchived: async () => {
      const columns = { ...key, endedOutsideAt: runs.endedOutsideAt };
      const rows = await db.select(columns).from(runs).where(and(isHere, isUnarchived)).orderBy(runs.id);
      return rows.map((row) => ({
        ...identityOf(row),
        endedBy: row.endedOutsideAt === null ? ("workflow" as const) : ("outside" as const),
      }));
    },

    unsettled: async () => {
      const claiming = db.select({ runId: outputClaims.runId }).from(outputClaims);
      const isUnsettled = and(isHere, not(isOpen), inArray(runs.id, claiming));
      return (await db.select(key).from(runs).where(isUnsettled).orderBy(runs.id)).map(identityOf);
    },

    states: async (ids) => {
      const phase = sql<RunState["phase"]>`case when not ${isHere} then 'Elsewhere' when ${isOpen} then 'Open'
        when archived_at is null then 'Ended' else 'Archived' end`;
      const states = [];
      for (let from = 0; from < ids.length; from += IDS_AT_ONCE) {
        const asked = inArray(runs.id, ids.slice(from, from + IDS_AT_ONCE));
        states.push(
          ...(await db
            .select({ ...key, phase })
            .from(runs)
            .where(asked)),
        );
      }
      return states.map((row) => ({ ...identityOf(row), phase: row.phase }));
    },
  };
}

const identityOf = ({ id, uid }: { id: number; uid: string | null }): RunIdentity => ({ id, ...present({ uid }) });
