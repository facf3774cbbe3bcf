import {
  Client,
  Connection,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type WorkflowStartOptions,
} from "@temporalio/client";
import type { ReplicaState } from "../model/run/lifecycle.ts";
import { runIdOf, taskQueueOf, watcherIdOf, workflowIdOf } from "../model/run/names.ts";
import { cancelRun, placeFree, replicaChanged } from "../workflows/messages.ts";
import { SEARCH_ATTRIBUTES } from "../workflows/search-attributes.ts";
import { RUN_WORKFLOW, runWorkflowOptions } from "../workflows/start.ts";

/** How a workflow of a run ended, or that it did not. `Gone`: Temporal knows nothing of it. */
export type WorkflowPhase = "Open" | "Completed" | "Terminated" | "Failed" | "Gone";

/** The worker's own calls to Temporal about the runs of one cluster. */
export interface RunWorkflows {
  start: (runId: number) => Promise<void>;
  cancel: (runId: number) => Promise<void>;
  tell: (runId: number, state: ReplicaState) => Promise<void>;
  offerPlaces: (runIds: readonly number[]) => Promise<void>;
  phaseOf: (runId: number) => Promise<WorkflowPhase>;
  /** Run ids of all open workflows, as visibility has them (it may trail by a second). */
  openIds: () => Promise<Set<number>>;
  startWatcher: () => Promise<void>;
}

/** A signal to a closed or unknown workflow is no error: what it says no longer matters. */
async function unlessClosed(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (err) {
    if (!(err instanceof WorkflowNotFoundError)) throw err;
  }
}

export function createRunWorkflows(client: Client, installation: string, cluster: string): RunWorkflows {
  const taskQueue = taskQueueOf(installation, cluster);
  const handleOf = (runId: number) => client.workflow.getHandle(workflowIdOf(installation, runId));
  const start = async (workflowType: string, options: WorkflowStartOptions): Promise<void> => {
    try {
      await client.workflow.start(workflowType, options);
    } catch (err) {
      if (!(err instanceof WorkflowExecutionAlreadyStartedError)) throw err;
    }
  };

  return {
    start: (runId) => start(RUN_WORKFLOW, runWorkflowOptions(installation, cluster, runId)),
    cancel: (runId) => unlessClosed(handleOf(runId).signal(cancelRun)),
    tell: (runId, state) => unlessClosed(handleOf(runId).signal(replicaChanged, state)),
    offerPlaces: async (runIds) => {
      await Promise.all(runIds.map((runId) => unlessClosed(handleOf(runId).signal(placeFree))));
    },
    async phaseOf(runId) {
      try {
        const { status } = await handleOf(runId).describe();
        if (status.name === "RUNNING" || status.name === "CONTINUED_AS_NEW") return "Open";
        if (status.name === "TERMINATED") return "Terminated";
        return status.name === "COMPLETED" ? "Completed" : "Failed";
      } catch (err) {
        if (err instanceof WorkflowNotFoundError) return "Gone";
        throw err;
      }
    },
    async openIds() {
      const ids = new Set<number>();
      const query = `TaskQueue = "${taskQueue}" AND WorkflowType = "${RUN_WORKFLOW}" AND ExecutionStatus = "Running"`;
      for await (const { workflowId } of client.workflow.list({ query, pageSize: 1000 })) {
        const id = runIdOf(installation, workflowId);
        if (id !== undefined) ids.add(id);
      }
      return ids;
    },
    startWatcher: () =>
      start("watchWorkflow", {
        workflowId: watcherIdOf(installation, cluster),
        taskQueue,
        workflowIdConflictPolicy: "FAIL",
        staticSummary: `Watcher of ${cluster}`,
      }),
  };
}

export interface TemporalTarget {
  address: string;
  namespace: string;
  apiKey?: string | undefined;
}

/** A client; waits for a server that is still starting, at most `withinMs`. */
export async function connectClient(target: TemporalTarget, withinMs: number): Promise<Client> {
  const connection = await Connection.connect({
    address: target.address,
    connectTimeout: withinMs,
    ...(target.apiKey === undefined ? {} : { apiKey: target.apiKey, tls: true }),
  });
  return new Client({ connection, namespace: target.namespace });
}

/** Whether the namespace knows our search attributes. */
export async function hasSearchAttributes(client: Client): Promise<boolean> {
  try {
    const known = await client.connection.operatorService.listSearchAttributes({ namespace: client.options.namespace });
    return Object.values(SEARCH_ATTRIBUTES).every(({ name }) => known.customAttributes?.[name] !== undefined);
  } catch {
    // A namespace that does not let us ask will not let us upsert either.
    return false;
  }
}
