import { answerOf } from "../../contract/answer.ts";
import { RUN } from "../../contract/fields/run-fields.ts";
import type { RunRecords } from "../../model/ports/records.ts";
import { isTerminal, type Run, type RunRecord } from "../../model/run/run.ts";
import { every, retry } from "../../waiting/retry.ts";
import type { RunChanges } from "./run-changes.ts";

/** A change that was not announced is seen by then. */
const REREAD_MS = 15_000;
const RETRY_MS = 500;

export interface WatchPorts {
  runs: Pick<RunRecords, "find">;
  changes: RunChanges;
}

/** A change of anything else is not told. */
const viewOf = answerOf({ object: RUN });

/**
 * The states of a run from `first` on until a terminal one, each once. A state is read when the one before was taken,
 * so that a slow reader misses states of a moment and never the last. Outages of the database are waited out.
 */
export async function* watchRun(
  { runs, changes }: WatchPorts,
  first: RunRecord,
  signal: AbortSignal,
): AsyncGenerator<Run> {
  const subscription = changes.subscribe(first.id);
  try {
    let run: RunRecord | undefined = first;
    let shown: string | undefined;
    while (run !== undefined && !signal.aborted) {
      const text = JSON.stringify(viewOf(run));
      // Whatever happened after `first` was read and before the subscription is read in the next moment.
      const isFirst = shown === undefined;
      if (text !== shown) yield run;
      shown = text;
      if (isTerminal(run.status)) return;
      if (!isFirst) await subscription.changed(REREAD_MS, signal);
      run = await findPatiently(runs, run.id, signal);
    }
  } finally {
    subscription.close();
  }
}

/** The row, however long the database is away; undefined when there is none, or `signal` was aborted meanwhile. */
export async function findPatiently(
  runs: Pick<RunRecords, "find">,
  id: number,
  signal: AbortSignal,
): Promise<RunRecord | undefined> {
  if (signal.aborted) return undefined;
  try {
    return await retry(() => runs.find(id), { pauses: every(RETRY_MS), signal });
  } catch (err) {
    if (signal.aborted) return undefined;
    throw err;
  }
}
