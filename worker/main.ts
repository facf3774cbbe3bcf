import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DefaultLogger, NativeConnection, Runtime, Worker } from "@temporalio/worker";
import { runActivities } from "../activities/run.ts";
import { watchActivities } from "../activities/watch.ts";
import { createFilesystemStore } from "../buffers/filesystem-store.ts";
import { createLog } from "../config/log.ts";
import { readWorkerConfig } from "../config/server.ts";
import { openDatabase } from "../db/database.ts";
import { createDockerReader } from "../docker/reader.ts";
import { createDockerWatcher } from "../docker/watcher.ts";
import { createDockerWriter } from "../docker/writer.ts";
import { createLogArchive } from "../logs/archive.ts";
import { taskQueueOf } from "../model/names.ts";
import { reconcileForever } from "./reconciler.ts";
import { connectClient, createRunWorkflows, hasSearchAttributes } from "./temporal.ts";

const CLUSTER = "docker";
/** How long a Temporal server may take to answer at start; the supervisor starts us when its own probe did. */
const CONNECT_MS = 60_000;
/** Well within the minute in which every half-done thing is to be healed. */
const RECONCILE_MS = 10_000;

const config = readWorkerConfig(process.env);
const log = createLog(config.TYGER_LOG_LEVEL, "worker");
Runtime.install({
  logger: new DefaultLogger("INFO", ({ level, message, meta }) => {
    const write = { TRACE: log.trace, DEBUG: log.debug, INFO: log.info, WARN: log.warn, ERROR: log.error }[level];
    write.call(log, meta ?? {}, message);
  }),
});

const target = {
  address: config.TEMPORAL_ADDRESS,
  namespace: config.TEMPORAL_NAMESPACE,
  apiKey: config.TEMPORAL_API_KEY,
};
const runsDir = join(config.TYGER_DATA_DIR, "runs");
const storeDir = join(config.TYGER_DATA_DIR, "buffers");
const docker = { dockerHost: config.DOCKER_HOST };

const [db, client, connection] = await Promise.all([
  openDatabase(config.DATABASE_URL),
  connectClient(target, CONNECT_MS),
  NativeConnection.connect({
    address: target.address,
    ...(target.apiKey === undefined ? {} : { apiKey: target.apiKey, tls: true }),
  }),
]);
const { installationId } = db;
const workflows = createRunWorkflows(client, installationId, CLUSTER);
const compute = createDockerWriter({
  ...docker,
  installationId,
  claims: db.claims,
  runsDir,
  storeDir,
  pumpCommand: { node: process.execPath, main: config.TYGER_PUMP_MAIN },
});
const ports = {
  runs: db.runs,
  compute,
  logs: createDockerReader({ ...docker, installationId }),
  archive: createLogArchive(join(config.TYGER_DATA_DIR, "logs")),
  store: createFilesystemStore(storeDir),
  maxLiveRuns: config.TYGER_MAX_LIVE_RUNS,
  announcePlaces: workflows.offerPlaces,
  hasSearchAttributes: await hasSearchAttributes(client),
};

const worker = await Worker.create({
  connection,
  namespace: target.namespace,
  taskQueue: taskQueueOf(installationId, CLUSTER),
  workflowBundle: { codePath: config.TYGER_WORKFLOW_BUNDLE },
  activities: {
    ...runActivities(ports),
    ...watchActivities({
      watcher: createDockerWatcher({ ...docker, installationId, claims: db.claims, runsDir }),
      tell: workflows.tell,
    }),
  },
  // A waiting run holds no activity; what is cached beyond this is replayed when it is signalled.
  maxCachedWorkflows: 500,
  // A cancel reaches an activity by its heartbeat; the default throttle would hold it back.
  maxHeartbeatThrottleInterval: "1 second",
  // The watcher ends when it is cancelled, which comes after this; what a step has begun is waited for all the same.
  shutdownGraceTime: "1 second",
});

const stopping = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    stopping.abort();
    if (worker.getState() === "RUNNING") worker.shutdown();
  });
}
const running = worker.run();
await workflows.startWatcher();
const reconciling = reconcileForever(
  { ...ports, workflows, log },
  RECONCILE_MS,
  db.takeReconcilerLock,
  stopping.signal,
);
const stateDir = join(config.TYGER_DATA_DIR, "state");
await mkdir(stateDir, { recursive: true });
await writeFile(join(stateDir, "installation"), `${installationId}\n`);
await writeFile(join(stateDir, "worker.ready"), `${process.pid}\n`);
log.info({ taskQueue: worker.options.taskQueue }, "worker is ready");

try {
  await running;
} finally {
  stopping.abort();
  await reconciling;
  await client.connection.close();
  await connection.close();
  await db.close();
}
