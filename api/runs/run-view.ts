import type { Run, RunRecord } from "../../model/run/run.ts";

/** A run as clients see it, without what the server keeps beside it; the same in every answer. */
export function shownRun(run: Run | RunRecord): Run {
  const { id, kind, eTag, status, statusReason, runningCount, createdAt, startedAt, finishedAt } = run;
  const { job, worker, timeoutSeconds, cluster, tags, bufferAccessTtl } = run;
  return {
    ...(kind && { kind }),
    id,
    eTag,
    status,
    ...(statusReason !== undefined && { statusReason }),
    ...(runningCount !== undefined && { runningCount }),
    createdAt,
    ...(startedAt !== undefined && { startedAt }),
    ...(finishedAt !== undefined && { finishedAt }),
    job,
    ...(worker && { worker }),
    timeoutSeconds,
    ...(cluster !== undefined && { cluster }),
    ...(tags && { tags }),
    bufferAccessTtl,
  };
}
