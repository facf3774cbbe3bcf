import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { NativeConnection, Worker } from "@temporalio/worker";
import type { Logger } from "pino";
import { runActivities } from "../activities/run.ts";
import { watchActivities } from "../activities/watch.ts";
import type { WorkerConfig } from "../config/server.ts";
import { writeWhole } from "../disk/write-whole.ts";
import { messageOf } from "../model/errors.ts";
import type { ComputeReader, ComputeWatcher, ComputeWriter } from "../model/ports/compute.ts";
import type { Database } from "../model/ports/database.ts";
import type { LogArchive } from "../model/ports/log.ts";
import type { BufferStore } from "../model/ports/store.ts";
import { LOST_RUNS_FILE, reconcilerLeaseOf, taskQueueOf } from "../model/run/names.ts";
import { raiseNumbers, type NumberPorts } from "../runs/numbers.ts";
import type { LostRun } from "../runs/repair/ports.ts";
import { createRepair } from "../runs/repair/repair.ts";
import { connectClient, connectionOptionsOf } from "../temporal/connection.ts";
import { createRunWorkflows } from "../temporal/run-workflows.ts";
import { searchAttributeCheck } from "../temporal/search-attributes.ts";
import { atMost, poll } from "../waiting/bounded.ts";
import { holdLease } from "./lease.ts";
import { reconcileForever } from "./reconciler.ts";

/** How long a Temporal server can take to answer at start; the supervisor starts us when its own probe has answered. */
const CONNECT_MS = 60_000;
/** Well within the minute in which everything half done must be repaired. */
const RECONCILE = { everyMs: 5_000, wholeEvery: 3 };
/** How long the end of the process waits for repairs that it interrupts; the next worker makes them. */
const REPAIRS_END_MS = 3_000;
const RAISE_AGAIN_MS = 10_000;
const MARK_AGAIN_MS = 2_000;

export interface WorkerBackends {
  db: Database;
  store: BufferStore;
  archive: LogArchive;
  /** In the names of task queues and of the watcher. */
  cluster: string;
  writer: ComputeWriter;
  logs: Pick<ComputeReader, "logs">;
  watcher: ComputeWatcher;
}

export interface ServedRuns {
  /** Settles when all is closed; rejects when the worker failed. */
  ended: Promise<void>;
  /** Takes no more work, and waits for activities that have begun. */
  stop(): void;
}

/**
 * Runs the workflows and activities of one cluster. `state/worker.ready` in the data folder contains our pid once they
 * can start.
 * @throws Error when Temporal does not answer within a minute
 */
export async function serveRuns(config: WorkerConfig, log: Logger, backends: WorkerBackends): Promise<ServedRuns> {
  const { db, store, archive, cluster, writer, logs, watcher } = backends;
  const { installationId, runs } = db;
  const target = {
    address: config.TEMPORAL_ADDRESS,
    namespace: config.TEMPORAL_NAMESPACE,
    apiKey: config.TEMPORAL_API_KEY,
  };
  const client = await connectClient(target, CONNECT_MS);
  const connection = await NativeConnection.connect(connectionOptionsOf(target));
  const workflows = createRunWorkflows(client, installationId, cluster);
  const ports = {
    runs,
    workflows,
    compute: writer,
    logs,
    archive,
    store,
    log,
    maxLiveRuns: config.TYGER_MAX_LIVE_RUNS,
    hasSearchAttributes: searchAttributeCheck(client),
  };
  const worker = await Worker.create({
    connection,
    namespace: target.namespace,
    taskQueue: taskQueueOf(installationId, cluster),
    workflowBundle: { codePath: config.TYGER_WORKFLOW_BUNDLE },
    activities: {
      ...runActivities(ports),
      ...watchActivities({ watcher, reportReplica: workflows.reportReplica, runs }),
    },
    // A waiting run holds no activity. Workflows beyond this are replayed when they are signaled.
    maxCachedWorkflows: 500,
    // A cancel reaches an activity by its heartbeat; the default throttle would hold it back.
    maxHeartbeatThrottleInterval: "1 second",
    // After this the watcher is canceled, and ends; the steps of runs are still waited for.
    shutdownGraceTime: "1 second",
  });

  const stopping = new AbortController();
  const raising = { runs, workflows, compute: writer, archive, log };
  // Before a workflow can run; what could not be asked is asked again until it answers.
  const raised = (await raiseNumbers(raising)) ? undefined : raiseLater(raising, stopping.signal);
  const running = worker.run();
  const stateDir = join(config.TYGER_DATA_DIR, "state");
  const lease = await holdLease(db.leases, reconcilerLeaseOf(cluster), log);
  const reportLost = lostRunsReport(join(stateDir, LOST_RUNS_FILE), log);
  const repair = createRepair({ ...ports, reportLost, mayAct: () => lease.isHeld() });
  const reconciling = reconcileForever(repair, RECONCILE, lease, stopping.signal);
  const marks = { installation: installationId, "worker.ready": String(process.pid) };
  const marked = leaveMarks(stateDir, marks, log, stopping.signal);
  log.info({ taskQueue: worker.options.taskQueue }, "worker is ready");

  const end = async (): Promise<void> => {
    try {
      await running;
    } finally {
      stopping.abort();
      await Promise.all([reconciling, raised, marked]);
      repair.stop();
      await atMost(REPAIRS_END_MS, repair.settled());
      await lease.release();
      await client.connection.close();
      await connection.close();
      await db.close();
    }
  };
  return {
    ended: end(),
    stop() {
      stopping.abort();
      if (worker.getState() === "RUNNING") worker.shutdown();
    },
  };
}

/** Files that tell the supervisor and `tyger status` what is served. A full disk delays them: the worker works meanwhile. */
async function leaveMarks(
  folder: string,
  marks: Record<string, string>,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const mark = async (): Promise<true | undefined> => {
    try {
      await mkdir(folder, { recursive: true });
      for (const [name, content] of Object.entries(marks)) await writeFile(join(folder, name), `${content}\n`);
      return true;
    } catch (err) {
      log.warn({ reason: messageOf(err) }, "could not write that the worker is ready, trying again");
      return undefined;
    }
  };
  await poll(mark, { everyMs: MARK_AGAIN_MS, signal });
}

/** Keeps the file that `tyger status` shows. */
function lostRunsReport(file: string, log: Logger): (lost: readonly LostRun[]) => void {
  let reported = "";
  return (lost) => {
    const text = JSON.stringify(lost);
    if (text === reported) return;
    writeWhole(file, text);
    reported = text;
    if (lost.length > 0) log.warn({ lost }, "runs execute that the database does not know");
  };
}

async function raiseLater(ports: NumberPorts, signal: AbortSignal): Promise<void> {
  const isRaised = () =>
    raiseNumbers(ports).catch((err: unknown) => {
      ports.log.warn({ reason: messageOf(err) }, "could not raise the numbers of runs, trying again");
      return false;
    });
  await poll(async () => ((await isRaised()) ? true : undefined), { everyMs: RAISE_AGAIN_MS, signal });
}
