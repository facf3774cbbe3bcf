import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type Client,
  type WorkflowStartOptions,
} from "@temporalio/client";
import type { RunWorkflows } from "../model/ports/workflows.ts";
import { runIdOf, taskQueueOf, watcherIdOf, workflowIdOf } from "../model/run/names.ts";
import { cancelRun, replicaChanged, slotFree } from "../workflows/messages.ts";

/** Registered names, and so part of the wire. */
const RUN_WORKFLOW = "runWorkflow";
const WATCH_WORKFLOW = "watchWorkflow";

/** Longer than a loaded server needs. Every caller either tries again or leaves the rest to the reconciler. */
const CALL_MS = 10_000;
const PAGE_SIZE = 1000;

/** The worker also keeps the cluster's one watcher running. */
export interface ClusterWorkflows extends RunWorkflows {
  startWatcher(): Promise<void>;
}

/** Every call that we make to the workflows of one cluster. Each fails after {@link CALL_MS} without an answer. */
export function createRunWorkflows(client: Client, installation: string, cluster: string): ClusterWorkflows {
  const taskQueue = taskQueueOf(installation, cluster);
  const handleOf = (runId: number) => client.workflow.getHandle(workflowIdOf(installation, runId));

  const bounded = <T>(call: () => Promise<T>): Promise<T> => client.withDeadline(Date.now() + CALL_MS, call);

  const start = (workflowType: string, options: WorkflowStartOptions): Promise<void> =>
    bounded(async () => {
      try {
        await client.workflow.start(workflowType, options);
      } catch (err) {
        if (!(err instanceof WorkflowExecutionAlreadyStartedError)) throw err;
      }
    });

  /** A workflow that has not started reads a cancel from its row; for one that is closed, no signal matters. */
  const unlessClosed = (signal: () => Promise<void>): Promise<void> =>
    bounded(async () => {
      try {
        await signal();
      } catch (err) {
        if (!(err instanceof WorkflowNotFoundError)) throw err;
      }
    });

  return {
    start: (runId) =>
      start(RUN_WORKFLOW, {
        workflowId: workflowIdOf(installation, runId),
        taskQueue,
        args: [runId],
        // An id that was ever used is refused, so that starting again is harmless; the default would run it again.
        workflowIdReusePolicy: "REJECT_DUPLICATE",
        staticSummary: `Run ${runId}`,
        staticDetails: `Takes run ${runId} from Pending to its end. 'tyger run show ${runId}' shows what it executes.`,
      }),

    startWatcher: () =>
      start(WATCH_WORKFLOW, {
        workflowId: watcherIdOf(installation, cluster),
        taskQueue,
        workflowIdConflictPolicy: "FAIL",
        staticSummary: `Watcher of ${cluster}`,
      }),

    cancel: (runId) => unlessClosed(() => handleOf(runId).signal(cancelRun)),

    reportReplica: (runId, state) => unlessClosed(() => handleOf(runId).signal(replicaChanged, state)),

    async offerSlots(runIds) {
      await Promise.all(runIds.map((runId) => unlessClosed(() => handleOf(runId).signal(slotFree))));
    },

    phaseOf: (runId) =>
      bounded(async () => {
        try {
          const { status } = await handleOf(runId).describe();
          if (status.name === "RUNNING" || status.name === "CONTINUED_AS_NEW") return "Open";
          if (status.name === "TERMINATED") return "Terminated";
          return status.name === "COMPLETED" ? "Completed" : "Failed";
        } catch (err) {
          if (err instanceof WorkflowNotFoundError) return "Gone";
          throw err;
        }
      }),

    async openIds() {
      const ids = new Set<number>();
      const query = `TaskQueue = "${taskQueue}" AND WorkflowType = "${RUN_WORKFLOW}" AND ExecutionStatus = "Running"`;
      const pages = client.workflow.list({ query, pageSize: PAGE_SIZE })[Symbol.asyncIterator]();
      for (;;) {
        const { done, value } = await bounded(() => pages.next());
        if (done) return ids;
        const id = runIdOf(installation, value.workflowId);
        if (id !== undefined) ids.add(id);
      }
    },
  };
}
