import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { NativeConnection, Worker } from "@temporalio/worker";
import type { Logger } from "pino";
import { runActivities } from "../activities/run.ts";
import { watchActivities } from "../activities/watch.ts";
import { createFilesystemStore } from "../buffers/filesystem/filesystem-store.ts";
import type { WorkerConfig } from "../config/server.ts";
import { openDatabase, type Database } from "../db/database.ts";
import { createLogArchive } from "../logs/archive.ts";
import type { ComputeReader, ComputeWatcher, ComputeWriter } from "../model/ports/compute.ts";
import { taskQueueOf } from "../model/run/names.ts";
import { reconcileForever } from "./reconciler.ts";
import { connectClient, connectionOptionsOf } from "../temporal/connection.ts";
import { createRunWorkflows } from "../temporal/run-workflows.ts";
import { hasSearchAttributes } from "../temporal/search-attributes.ts";

/** How long a Temporal server may take to answer at start; the supervisor starts us when its own probe did. */
const CONNECT_MS = 60_000;
/** Well within the minute in which every half-done thing is to be healed. */
const RECONCILE = { everyMs: 10_000, endsEvery: 3 };

/** What the worker of a cluster drives. */
export interface Backend {
  /** In task queues and the watcher's name. */
  cluster: string;
  writer: ComputeWriter;
  logs: Pick<ComputeReader, "logs">;
  watcher: ComputeWatcher;
}

/** What a backend is made of, once the database tells whose it is. */
export type BackendParts = Pick<Database, "installationId" | "claims"> & { runsDir: string; storeDir: string };

export interface ServedRuns {
  /** Settles when all is closed; rejects when the worker failed. */
  ended: Promise<void>;
  /** Takes no more work; what an activity has begun is waited for. */
  stop(): void;
}

/**
 * Runs the workflows and activities of one cluster. `state/worker.ready` in the data folder holds our pid from when they
 * are taken.
 * @throws Error when Postgres or Temporal does not answer within a minute
 */
export async function serveRuns(
  config: WorkerConfig,
  log: Logger,
  backendOf: (parts: BackendParts) => Backend,
): Promise<ServedRuns> {
  const target = {
    address: config.TEMPORAL_ADDRESS,
    namespace: config.TEMPORAL_NAMESPACE,
    apiKey: config.TEMPORAL_API_KEY,
  };
  const runsDir = join(config.TYGER_DATA_DIR, "runs");
  const storeDir = join(config.TYGER_DATA_DIR, "buffers");
  const [db, client] = await Promise.all([openDatabase(config.DATABASE_URL), connectClient(target, CONNECT_MS)]);
  const connection = await NativeConnection.connect(connectionOptionsOf(target));
  const { installationId, claims } = db;
  const { cluster, writer, logs, watcher } = backendOf({ installationId, claims, runsDir, storeDir });
  const workflows = createRunWorkflows(client, installationId, cluster);
  const ports = {
    runs: db.runs,
    compute: writer,
    logs,
    archive: createLogArchive(join(config.TYGER_DATA_DIR, "logs")),
    store: createFilesystemStore(storeDir),
    maxLiveRuns: config.TYGER_MAX_LIVE_RUNS,
    offerSlots: workflows.offerSlots,
    hasSearchAttributes: await hasSearchAttributes(client),
  };
  const worker = await Worker.create({
    connection,
    namespace: target.namespace,
    taskQueue: taskQueueOf(installationId, cluster),
    workflowBundle: { codePath: config.TYGER_WORKFLOW_BUNDLE },
    activities: { ...runActivities(ports), ...watchActivities({ watcher, reportReplica: workflows.reportReplica }) },
    // A waiting run holds no activity; what is cached beyond this is replayed when it is signalled.
    maxCachedWorkflows: 500,
    // A cancel reaches an activity by its heartbeat; the default throttle would hold it back.
    maxHeartbeatThrottleInterval: "1 second",
    // The watcher ends when it is cancelled, which comes after this; what a step has begun is waited for all the same.
    shutdownGraceTime: "1 second",
  });

  const stopping = new AbortController();
  const running = worker.run();
  await workflows.startWatcher();
  const reconciling = reconcileForever({ ...ports, workflows, log }, RECONCILE, db.takeReconcilerLock, stopping.signal);
  const stateDir = join(config.TYGER_DATA_DIR, "state");
  await mkdir(stateDir, { recursive: true });
  await writeFile(join(stateDir, "installation"), `${installationId}\n`);
  await writeFile(join(stateDir, "worker.ready"), `${process.pid}\n`);
  log.info({ taskQueue: worker.options.taskQueue }, "worker is ready");

  const end = async (): Promise<void> => {
    try {
      await running;
    } finally {
      stopping.abort();
      await reconciling;
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
