import type { RunRecords } from "../model/ports/records.ts";
import type { BackgroundCalls } from "../model/ports/workflows.ts";
import { isTerminal, type RunRecord } from "../model/run/run.ts";

export interface CancelPorts {
  runs: Pick<RunRecords, "requestCancel">;
  workflows: Pick<BackgroundCalls, "cancel">;
}

/** Records the request first, so that it survives whatever fails later; a run that has ended stays as it is. */
export async function requestCancel({ runs, workflows }: CancelPorts, runId: number): Promise<RunRecord | undefined> {
  const run = await runs.requestCancel(runId);
  if (run !== undefined && !isTerminal(run.status)) workflows.cancel(run);
  return run;
}
