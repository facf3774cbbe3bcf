import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type Client,
  type WorkflowStartOptions,
} from "@temporalio/client";
import { CodedError } from "../model/errors.ts";
import type { ClusterWorkflows, RunWorkflows, WorkflowPhase } from "../model/ports/workflows.ts";
import { belongsToAnother, isSameRun, type RunIdentity } from "../model/run/identity.ts";
import { changesOf } from "../model/run/replica-changes.ts";
import { argumentOf, type StartedRun } from "../model/run/argument.ts";
import { runIdOf, taskQueueOf, watcherIdOf, workflowIdOf } from "../model/run/names.ts";
import { cancelRun, replicasChanged, slotFree } from "../workflows/messages.ts";
import { codespecShown, searchAttributesOf } from "../workflows/search-attributes.ts";
import { createTagging } from "./search-attributes.ts";

/** Registered names, and so part of the wire. A run without a uid gets the oldest type, whose argument is its number. */
const RUN_WORKFLOW = "superviseRun";
const NUMBER_WORKFLOW = "runWorkflow";
const RUN_WORKFLOWS = [RUN_WORKFLOW, "executeRun", NUMBER_WORKFLOW].map((type) => `"${type}"`).join(", ");
const WATCH_WORKFLOW = "watchWorkflow";

/** The start of Temporal's name for each way to close. */
const CLOSED: readonly (readonly [string, WorkflowPhase])[] = [
  ["COMPLETED", "Completed"],
  ["CANCEL", "Canceled"],
  ["TERMINATED", "Terminated"],
  ["FAILED", "Failed"],
  ["TIMED_OUT", "Failed"],
];

/** The phase of a workflow by Temporal's name for its status. One that is paused is open, and so are states of newer servers. */
export const phaseOfStatus = (status: string): WorkflowPhase =>
  CLOSED.find(([start]) => status.startsWith(start))?.[1] ?? "Open";

/** Longer than a loaded server needs. Every caller either tries again or leaves the rest to the reconciler. */
const CALL_MS = 10_000;
const PAGE_SIZE = 1000;
/** How much the clocks of Temporal and Postgres may differ. */
const CLOCKS_APART_MS = 600_000;

const bounded = <T>(client: Client, call: () => Promise<T>): Promise<T> =>
  client.withDeadline(Date.now() + CALL_MS, call);

/** Every call that we make to workflows of runs. Each fails after {@link CALL_MS} without an answer. */
export function createRunWorkflows(client: Client, installation: string): RunWorkflows {
  const idOf = ({ id }: RunIdentity): string => workflowIdOf(installation, id);
  const handleOf = (run: RunIdentity) => client.workflow.getHandle(idOf(run));

  const tagging = createTagging();
  const withIdentity = (run: StartedRun & { uid: string }) => {
    const argument = argumentOf(run);
    const { uid, cluster, replicas, codespecRef } = argument;
    const memo = { uid, codespec: codespecShown(codespecRef), image: run.job.codespec.image, cluster, replicas };
    return { args: [argument], memo };
  };

  const phaseOf = (run: RunIdentity): Promise<WorkflowPhase> =>
    bounded(client, async () => {
      try {
        const { status, memo } = await handleOf(run).describe();
        if (!isSameRun(run, runOf(run.id, memo))) return "Foreign";
        return phaseOfStatus(status.name);
      } catch (err) {
        if (err instanceof WorkflowNotFoundError) return "Gone";
        throw err;
      }
    });

  /** A workflow that has not started reads a cancel from its row; for one that is closed, no signal matters. */
  const unlessClosed = (signal: () => Promise<void>): Promise<void> =>
    bounded(client, async () => {
      try {
        await signal();
      } catch (err) {
        if (!(err instanceof WorkflowNotFoundError)) throw err;
      }
    });

  return {
    async start(run) {
      const { id: runId, uid } = run;
      const workflowId = idOf(run);
      const options = {
        workflowId,
        taskQueue: taskQueueOf(installation, run.cluster),
        ...(uid === undefined ? { args: [runId] } : withIdentity({ ...run, uid })),
        // An id that was ever used is refused, so that starting again is harmless; the default would run it again.
        workflowIdReusePolicy: "REJECT_DUPLICATE" as const,
        staticSummary: `Run ${runId}`,
        staticDetails: `Takes run ${runId} from Pending to its end. 'tyger run show ${runId}' shows what it executes.`,
      };
      const type = uid === undefined ? NUMBER_WORKFLOW : RUN_WORKFLOW;
      const isStarted = await tagging.start(searchAttributesOf("Pending", run.codespecRef), (tags) =>
        startOnce(client, type, { ...options, ...tags }),
      );
      if (isStarted || (await phaseOf(run)) !== "Foreign") return;
      throw new CodedError("Conflict", belongsToAnother(`The workflow '${workflowId}'`, runId));
    },

    cancel: (run) => unlessClosed(() => handleOf(run).signal(cancelRun, ...uidOf(run))),

    terminate: (run, reason) =>
      unlessClosed(async () => {
        const { status, memo, runId } = await handleOf(run).describe();
        if (phaseOfStatus(status.name) !== "Open" || !isSameRun(run, runOf(run.id, memo))) return;
        // This execution alone: a reset can begin another one meanwhile.
        await client.workflow.getHandle(idOf(run), runId).terminate(reason);
      }),

    reportReplicas: (run, changes, tagging) =>
      unlessClosed(() => handleOf(run).signal(replicasChanged, changesOf(run.uid, [...changes], tagging))),

    async offerSlots(runIds) {
      // The workflow of another run with the number does not find itself in the database, and ends.
      await Promise.all(runIds.map((id) => unlessClosed(() => handleOf({ id }).signal(slotFree))));
    },

    phaseOf,

    async highestNumber(clusters, since) {
      const from = since === undefined ? undefined : new Date(Date.parse(since) - CLOCKS_APART_MS).toISOString();
      const isSince = from === undefined ? "" : `AND StartTime >= "${from}"`;
      let highest = 0;
      for await (const { id } of runsWhere(client, installation, clusters, isSince)) highest = Math.max(highest, id);
      return highest;
    },
  };
}

/** As {@link createRunWorkflows}, with the calls that concern a cluster as a whole. */
export function createClusterWorkflows(client: Client, installation: string, cluster: string): ClusterWorkflows {
  return {
    ...createRunWorkflows(client, installation),

    async startWatcher() {
      await startOnce(client, WATCH_WORKFLOW, {
        workflowId: watcherIdOf(installation, cluster),
        taskQueue: taskQueueOf(installation, cluster),
        workflowIdConflictPolicy: "FAIL",
        staticSummary: `Watcher of ${cluster}`,
      });
    },

    async openRuns() {
      const open = new Map<number, RunIdentity>();
      for await (const run of runsWhere(client, installation, [cluster], IS_OPEN)) open.set(run.id, run);
      return open;
    },

    async countOpen() {
      const { count } = await bounded(client, () => client.workflow.count(queryOf(installation, [cluster], IS_OPEN)));
      return count;
    },
  };
}

/** False when there is a workflow with this id. */
const startOnce = (client: Client, workflowType: string, options: WorkflowStartOptions): Promise<boolean> =>
  bounded(client, async () => {
    try {
      await client.workflow.start(workflowType, options);
      return true;
    } catch (err) {
      if (!(err instanceof WorkflowExecutionAlreadyStartedError)) throw err;
      return false;
    }
  });

const IS_OPEN = `AND ExecutionStatus = "Running"`;

function queryOf(installation: string, clusters: readonly string[], condition: string): string {
  const queues = clusters.map((cluster) => `"${taskQueueOf(installation, cluster)}"`).join(", ");
  return `TaskQueue IN (${queues}) AND WorkflowType IN (${RUN_WORKFLOWS}) ${condition}`;
}

/** The runs of these clusters whose workflows match a condition. */
async function* runsWhere(
  client: Client,
  installation: string,
  clusters: readonly string[],
  condition: string,
): AsyncGenerator<RunIdentity> {
  const query = queryOf(installation, clusters, condition);
  const pages = client.workflow.list({ query, pageSize: PAGE_SIZE })[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await bounded(client, () => pages.next());
    if (done) return;
    const id = runIdOf(installation, value.workflowId);
    if (id !== undefined) yield runOf(id, value.memo);
  }
}

/** The run with this number whose workflow has this memo. */
function runOf(id: number, memo: Record<string, unknown> | undefined): RunIdentity {
  const uid = memo?.["uid"];
  return typeof uid === "string" ? { id, uid } : { id };
}

const uidOf = ({ uid }: RunIdentity): [uid?: string] => (uid === undefined ? [] : [uid]);
