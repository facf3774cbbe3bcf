import { answerOf } from "../../contract/answer.ts";
import { RUN } from "../../contract/fields/run-fields.ts";
import type { RunRecords } from "../../model/ports/records.ts";
import { isTerminal, type Run, type RunRecord } from "../../model/run/run.ts";
import { every, retry } from "../../waiting/retry.ts";
import type { Changes } from "../../waiting/changes.ts";

/** A change without a notification is seen by then. */
const REREAD_MS = 15_000;
const RETRY_MS = 500;

export interface WatchPorts {
  runs: Pick<RunRecords, "find">;
  changes: Changes<number>;
  /** The run as clients see it. */
  shown: (run: Run) => Run;
}

/** A change of any other field is not shown. */
const viewOf = answerOf({ object: RUN });

/**
 * The states of a run from `first` on until a terminal one, each once. A state is read when the reader has taken the one before:
 * a slow reader can miss short states, but never the last. Waits while the database is down.
 */
export async function* watchRun(
  { runs, changes, shown: shownRun }: WatchPorts,
  first: RunRecord,
  signal: AbortSignal,
): AsyncGenerator<Run> {
  const subscription = changes.subscribe(first.id);
  try {
    let run: RunRecord | undefined = first;
    let shown: string | undefined;
    while (run !== undefined && !signal.aborted) {
      const view = shownRun(run);
      const text = JSON.stringify(viewOf(view));
      // A change between reading `first` and the subscription has no notification: read again at once.
      const isFirst = shown === undefined;
      if (text !== shown) yield view;
      shown = text;
      if (isTerminal(run.status)) return;
      if (!isFirst) await subscription.changed(REREAD_MS, signal);
      run = await findPatiently(runs, run.id, signal);
    }
  } finally {
    subscription.close();
  }
}

/** The row, however long the database is down; undefined when there is none, or when `signal` is aborted. */
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
