import { setTimeout as sleep } from "node:timers/promises";
import { Client, Connection, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from "@temporalio/client";
import { messageOf } from "../model/errors.ts";
import { workflowIdOf } from "../model/run/names.ts";
import type { RunRecords } from "../model/ports/records.ts";
import { RUN_WORKFLOW, runWorkflowOptions } from "../workflows/start.ts";

/** How the API speaks to the workflows of runs: nobody waits for it, and the reconciler makes up for what is lost. */
export interface RunStarter {
  start(runId: number): void;
  cancel(runId: number): void;
  /** Waits for calls under way, a few seconds at most. */
  close(): Promise<void>;
}

export interface StarterOptions {
  address: string;
  namespace: string;
  apiKey?: string | undefined;
  installationId: string;
  runs: Pick<RunRecords, "recordWorkflowStarted">;
  log: { warn(facts: object, message: string): void };
}

/** The cluster of Docker mode; its workers take their runs from the task queue of this name. */
const CLUSTER = "docker";
/** Longer than a loaded server takes; a server that is away is left to the reconciler. */
const CALL_MS = 10_000;
const RETRY_MS = { first: 100, most: 2000 } as const;
const CLOSE_MS = 3000;

/** Connects with the first call, so that the API starts and answers while Temporal is away. */
export function createRunStarter(options: StarterOptions): RunStarter {
  const { address, namespace, apiKey, installationId, runs, log } = options;
  // The retries of the client would go on after `close()` and end the process with an uncaught error; ours do not.
  const connection = Connection.lazy({ address, interceptors: [], ...(apiKey !== undefined && { apiKey, tls: true }) });
  const client = new Client({ connection, namespace });
  const underWay = new Set<Promise<void>>();
  const closing = new AbortController();

  const tryUntil = async (endMs: number, work: () => Promise<void>): Promise<void> => {
    for (let waitMs: number = RETRY_MS.first; ; waitMs = Math.min(waitMs * 2, RETRY_MS.most)) {
      try {
        return await connection.withDeadline(endMs, work);
      } catch (err) {
        if (closing.signal.aborted || Date.now() + waitMs > endMs) throw err;
      }
      await sleep(waitMs, undefined, { signal: closing.signal });
    }
  };
  const call = (runId: number, what: string, work: () => Promise<void>): void => {
    const calling = tryUntil(Date.now() + CALL_MS, work)
      .catch((err: unknown) => log.warn({ runId, reason: messageOf(err) }, what))
      .finally(() => underWay.delete(calling));
    underWay.add(calling);
  };

  return {
    start: (runId) =>
      call(runId, "the workflow of a run could not be started yet", async () => {
        try {
          await client.workflow.start(RUN_WORKFLOW, runWorkflowOptions(installationId, CLUSTER, runId));
        } catch (err) {
          if (!(err instanceof WorkflowExecutionAlreadyStartedError)) throw err;
        }
        await runs.recordWorkflowStarted(runId);
      }),

    cancel: (runId) =>
      call(runId, "the cancellation of a run could not be signalled yet", async () => {
        try {
          await client.workflow.getHandle(workflowIdOf(installationId, runId)).signal("cancel");
        } catch (err) {
          // Not started yet: it reads the request from the row. Closed: there is nothing left to cancel.
          if (!(err instanceof WorkflowNotFoundError)) throw err;
        }
      }),

    async close() {
      closing.abort();
      const timer = new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref());
      await Promise.race([Promise.allSettled(underWay), timer]);
      await connection.close();
    },
  };
}
