import { etagOf } from "../../model/etag.ts";
import type { Run, RunRecord } from "../../model/run/run.ts";
import { present, shownIfAny, shownInstant, shownTags } from "../row.ts";
import type { runs } from "../schema.ts";

type RunRow = typeof runs.$inferSelect;

/** The run as clients see it. */
export function runOf(row: RunRow): Run {
  const run: Omit<Run, "eTag"> = {
    id: row.id,
    status: row.shownStatus,
    ...present({ statusReason: row.statusReason }),
    createdAt: shownInstant(row.createdAt),
    ...present({ startedAt: shownIfAny(row.startedAt), finishedAt: shownIfAny(row.finishedAt) }),
    job: row.job,
    timeoutSeconds: row.timeoutSeconds,
    ...present({ tags: shownTags(row.tags) }),
    bufferAccessTtl: row.bufferAccessTtl,
  };
  return { ...run, eTag: runEtagOf(run) };
}

/** The run with what the server keeps beside it. */
export const recordOf = (row: RunRow): RunRecord => ({
  ...runOf(row),
  revision: row.revision,
  ...present({
    cancelRequestedAt: shownIfAny(row.cancelRequestedAt),
    workflowStartedAt: shownIfAny(row.workflowStartedAt),
    admittedAt: shownIfAny(row.admittedAt),
    archivedAt: shownIfAny(row.archivedAt),
  }),
});

/** Stands for what a client may see change, and for nothing else: neither archiving nor a revision alters it. */
function runEtagOf(run: Omit<Run, "eTag">): string {
  const { status, statusReason, runningCount, startedAt, finishedAt, cluster, job, worker, tags } = run;
  const nodePools = [job.nodePool, worker?.nodePool];
  return etagOf({ status, statusReason, runningCount, startedAt, finishedAt, cluster, nodePools, tags });
}
