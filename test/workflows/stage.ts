import { randomBytes } from "node:crypto";
import type { WorkflowHandle } from "@temporalio/client";
import { temporal } from "@temporalio/proto";
import postgres from "postgres";
import { runActivities } from "../../activities/run.ts";
import { openDatabase } from "../../db/database.ts";
import type { Database } from "../../model/ports/database.ts";
import type { NewRun } from "../../model/ports/records.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { argumentOf } from "../../model/run/argument.ts";
import { workflowIdOf } from "../../model/run/names.ts";
import { changesOf } from "../../model/run/replica-changes.ts";
import { currentRun, replicaChanged, replicasChanged, slotFree } from "../../workflows/messages.ts";
import { freshDatabase } from "../engines.ts";
import { eventually } from "../eventually.ts";
import { createFakeRunPorts, type FakeRunPorts } from "../fakes/run-ports.ts";
import { openTemporalRig, type TemporalRig } from "../temporal-rig.ts";
import { recordHistory } from "./record.ts";

export const EXITED: ReplicaState = {
  container: { phase: "Exited", exitCode: 0, finishedAt: "2100-01-01T00:00:00Z" },
};

/** A run with an output that no other run has. */
export const newRun = (): NewRun => ({
  job: {
    codespec: { kind: "job", image: "image", env: { TOKEN: "hunter2" }, buffers: { outputs: ["out"] } },
    buffers: { out: `b${randomBytes(5).toString("hex")}` },
  },
  timeoutSeconds: 3600,
  bufferAccessTtl: "01:00:00",
  newBuffers: [],
});

/** A run that was created and whose workflow was started. */
export interface Begun {
  id: number;
  uid: string | undefined;
  handle: WorkflowHandle;
  /** Waits for the end of the workflow: the row of its run, and how the workflow closed. */
  end: () => Promise<RunRecord & { closedAs: string }>;
  /** Tells the workflow what was observed of its run. */
  report: (state: ReplicaState) => Promise<void>;
}

/** The types of workflows of runs, as workers have to know them. */
export type RunWorkflowType = "superviseRun" | "executeRun" | "runWorkflow";
/** Of the names of histories. */
const PREFIX = { superviseRun: "supervised", executeRun: "executed", runWorkflow: "numbered" };
const argumentFor: Record<RunWorkflowType, (run: RunRecord & { uid: string }) => unknown> = {
  superviseRun: argumentOf,
  executeRun: ({ id, uid }) => ({ id, uid }),
  runWorkflow: ({ id }) => id,
};

/** `COMPLETED`, `FAILED`, `CANCELED` and so on. */
const closingOf = (code: number): string =>
  temporal.api.enums.v1.WorkflowExecutionStatus[code]?.replace("WORKFLOW_EXECUTION_STATUS_", "") ?? String(code);

/** Everything that the script of a test works with. */
export interface Scene {
  ports: FakeRunPorts;
  taskQueue: string;
  /** Creates a run and starts its workflow. The history of the first one is recorded. */
  begin: (run?: Partial<NewRun>, prepare?: (id: number) => Promise<unknown>) => Promise<Begun>;
}

/** The real database and Temporal, and workers whose backend does what a test says. */
export interface Stage {
  db: Database;
  rig: TemporalRig;
  /** A worker of its own on its own task queue, with a scripted backend. */
  withWorker: (
    script: (scene: Scene) => Promise<void>,
    options?: { maxLiveRuns?: number; record?: string; type?: RunWorkflowType },
  ) => Promise<void>;
  /** Makes the run one that is older than uids, and so another one than before. */
  withoutUid: (id: number) => Promise<void>;
  close(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const database = await freshDatabase();
  const db = await openDatabase(database.url);
  const rig = await openTemporalRig();

  const withWorker: Stage["withWorker"] = async (script, options = {}) => {
    const taskQueue = `test-${randomBytes(5).toString("hex")}`;
    const ports = createFakeRunPorts(db.runsIn("docker"), {
      maxLiveRuns: options.maxLiveRuns ?? 1000,
      offerSlot: (id) => rig.client.workflow.getHandle(workflowIdOf(taskQueue, id)).signal(slotFree),
    });
    const worker = await rig.createWorker({ taskQueue, activities: runActivities(ports) });
    const handles: WorkflowHandle[] = [];
    const { type = "superviseRun" } = options;
    const scene: Scene = {
      ports,
      taskQueue,
      async begin(given = {}, prepare) {
        const { run } = await db.runs.create({ ...newRun(), ...given });
        const { id, uid = "" } = run;
        await prepare?.(id);
        await db.runs.recordWorkflowStarted(id);
        const handle = await rig.client.workflow.start(type, {
          taskQueue,
          workflowId: workflowIdOf(taskQueue, id),
          args: [argumentFor[type]({ ...run, uid })],
        });
        handles.push(handle);
        const report = (state: ReplicaState): Promise<void> =>
          type === "runWorkflow"
            ? handle.signal(replicaChanged, state)
            : handle.signal(replicasChanged, changesOf(uid, [[0, state]]));
        const end: Begun["end"] = async () => {
          await handle.result().catch(() => undefined);
          const { status } = await handle.describe();
          const ended = await db.runs.find(id);
          if (ended === undefined) throw new Error("The run has no row");
          return { ...ended, closedAs: closingOf(status.code) };
        };
        return { id, uid, handle, report, end };
      },
    };
    await worker.runUntil(async () => {
      await script(scene);
      if (options.record !== undefined) await recordHistory(handles[0], `${PREFIX[type]}-${options.record}`);
      // A workflow that a failed test left open must not continue into the next test.
      await Promise.all(handles.map((handle) => handle.terminate().catch(() => undefined)));
    });
  };

  return {
    db,
    rig,
    withWorker,

    async withoutUid(id) {
      const client = postgres(database.url, { max: 1, onnotice: () => {} });
      await client`update runs set uid = null where id = ${id}`;
      await client.end({ timeout: 1 });
    },

    async close() {
      await rig.close();
      await db.close();
      await database.drop();
    },
  };
}

/** Waits until the workflow has asked for a slot and got none; one of an older type then tags itself as Pending. */
export const queued = (handle: WorkflowHandle) =>
  eventually(async () => {
    const { events } = await handle.fetchHistory();
    const hasAsked = events?.some(
      (event) => event.upsertWorkflowSearchAttributesEventAttributes ?? event.activityTaskCompletedEventAttributes,
    );
    return hasAsked && (await handle.query(currentRun)).phase.startsWith("queued");
  });

export const launched = (ports: FakeRunPorts, id: number) => eventually(() => ports.calls.includes(`launch ${id}`));
