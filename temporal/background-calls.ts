import { CodedError, messageOf } from "../model/errors.ts";
import type { RunRecords } from "../model/ports/records.ts";
import type { BackgroundCalls, RunWorkflows } from "../model/ports/workflows.ts";
import type { RunIdentity } from "../model/run/identity.ts";
import { atMost } from "../waiting/bounded.ts";
import { doubling, retry } from "../waiting/retry.ts";

export interface BackgroundOptions {
  workflows: Pick<RunWorkflows, "start" | "cancel">;
  runs: Pick<RunRecords, "recordWorkflowStarted">;
  log: { warn(facts: object, message: string): void };
}

/** A Temporal that is away for longer is left to the reconciler. */
const TRY_FOR_MS = 10_000;
const PAUSES = doubling(100, 2000);
const CLOSE_MS = 3000;
/** The reconciler ends a run whose workflow belongs to another one. */
const passes = (err: unknown): boolean => !(err instanceof CodedError && err.code === "Conflict");

/** Calls whose caller does not wait. `close` ends their retries and waits a few seconds for calls in flight. */
export function createBackgroundCalls({
  workflows,
  runs,
  log,
}: BackgroundOptions): BackgroundCalls & { close(): Promise<void> } {
  const underWay = new Set<Promise<void>>();
  const closing = new AbortController();

  const call = ({ id: runId }: Pick<RunIdentity, "id">, failed: string, work: () => Promise<void>): void => {
    const calling = retry(work, { pauses: PAUSES, untilMs: Date.now() + TRY_FOR_MS, signal: closing.signal, passes })
      .catch((err: unknown) => log.warn({ runId, reason: messageOf(err) }, failed))
      .finally(() => underWay.delete(calling));
    underWay.add(calling);
  };

  return {
    start: (run) =>
      call(run, "could not start the run's workflow yet", async () => {
        await workflows.start(run);
        await runs.recordWorkflowStarted(run.id);
      }),

    cancel: (run) => call(run, "could not send the cancel to the run's workflow yet", () => workflows.cancel(run)),

    async close() {
      closing.abort();
      await atMost(CLOSE_MS, Promise.allSettled(underWay));
    },
  };
}
