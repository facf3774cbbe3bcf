import {
  Client,
  Connection,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type WorkflowStartOptions,
} from "@temporalio/client";
import { messageOf } from "../model/errors.ts";
import { taskQueueOf, workflowIdOf } from "../model/names.ts";
import type { RunRecords } from "../model/records.ts";

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
const CLOSE_MS = 3000;

/** Connects with the first call, so that the API starts and answers while Temporal is away. */
export function createRunStarter(options: StarterOptions): RunStarter {
  const { address, namespace, apiKey, installationId, runs, log } = options;
  const connection = Connection.lazy({ address, ...(apiKey !== undefined && { apiKey, tls: true }) });
  const client = new Client({ connection, namespace });
  const underWay = new Set<Promise<void>>();

  const call = (runId: number, what: string, work: () => Promise<void>): void => {
    const calling = connection
      .withDeadline(Date.now() + CALL_MS, work)
      .catch((err: unknown) => log.warn({ runId, reason: messageOf(err) }, what))
      .finally(() => underWay.delete(calling));
    underWay.add(calling);
  };

  return {
    start: (runId) =>
      call(runId, "the workflow of a run could not be started yet", async () => {
        const workflow: WorkflowStartOptions = {
          args: [runId],
          workflowId: workflowIdOf(installationId, runId),
          taskQueue: taskQueueOf(installationId, CLUSTER),
          // The default would run a finished id again.
          workflowIdReusePolicy: "REJECT_DUPLICATE",
          staticSummary: `Run ${runId}`,
          staticDetails: `Takes run ${runId} from Pending to its end; what it executes is shown by 'tyger run show ${runId}'.`,
        };
        try {
          await client.workflow.start("runWorkflow", workflow);
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
      const timer = new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref());
      await Promise.race([Promise.allSettled(underWay), timer]);
      await connection.close();
    },
  };
}
