import { etagOf } from "../../model/etag.ts";
import { SOLE_CLUSTER } from "../../model/run/names.ts";
import type { Run, RunRecord } from "../../model/run/run.ts";
import { present, shownRow } from "../row.ts";
import { runs } from "../schema.ts";

/** The run with what the server keeps beside it. Its columns are passed on by their names, whichever there are. */
export function recordOf(row: typeof runs.$inferSelect): RunRecord {
  const { idempotencyKeyHash: _hash, queuedAt: _queued, endedOutsideAt: _outside, ...stored } = shownRow(runs, row);
  const { status: _stored, runningCount, ...shown } = stored;
  const { id, shownStatus: status, statusReason, ...columns } = shown;
  const isCounted = status === "Running" && columns.replicaCount > 1;
  // The order of these is the order of answers.
  const run = {
    id,
    eTag: "",
    status,
    ...present({ statusReason }),
    ...(isCounted && present({ runningCount })),
    ...columns,
  };
  return { ...run, eTag: runEtagOf(run) };
}

/** Changes with what a client can see, and with nothing else: neither archiving nor a revision alters it. */
function runEtagOf(run: Run): string {
  const { status, statusReason, runningCount, startedAt, finishedAt, cluster, job, worker, tags } = run;
  const nodePools = [job.nodePool, worker?.nodePool];
  // Rows that are older than clusters keep their eTags.
  const stated = cluster === SOLE_CLUSTER ? undefined : cluster;
  return etagOf({ status, statusReason, runningCount, startedAt, finishedAt, cluster: stated, nodePools, tags });
}
