import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { NativeConnection } from "@temporalio/worker";
import type { Logger } from "pino";
import type { WorkerConfig } from "../config/server.ts";
import { messageOf } from "../model/errors.ts";
import type { Database } from "../model/ports/database.ts";
import type { LogArchive } from "../model/ports/log.ts";
import type { BufferStore } from "../model/ports/store.ts";
import { LOST_RUNS_FILE } from "../model/run/names.ts";
import { raiseNumbers, type NumberPorts } from "../runs/numbers.ts";
import { connectClient, connectionOptionsOf } from "../temporal/connection.ts";
import { createRunWorkflows } from "../temporal/run-workflows.ts";
import { readTarget } from "../temporal/target.ts";
import { searchAttributeCheck } from "../temporal/search-attributes.ts";
import { poll } from "../waiting/bounded.ts";
import { serveCluster, type ClusterBackend } from "./cluster.ts";
import { eachOnce } from "./each-once.ts";
import { lookAfterUnserved } from "./unserved.ts";
import { createLostRuns } from "./lost-runs.ts";

/** How long a Temporal server can take to answer at start; the supervisor starts us when its own probe has answered. */
const CONNECT_MS = 60_000;
const RAISE_AGAIN_MS = 10_000;
const MARK_AGAIN_MS = 2_000;
/** Of workflows, for all clusters together: more would cost memory that no waiting run needs. */
const MAX_CACHED = 500;

export interface WorkerBackends {
  db: Database;
  store: BufferStore;
  archive: LogArchive;
  /** Those that this process serves. */
  clusters: readonly ClusterBackend[];
  /** The names of all clusters of the server. */
  clusterNames: readonly string[];
}

export interface ServedRuns {
  /** Settles when all is closed; rejects when a worker failed. */
  ended: Promise<void>;
  /** Takes no more work, and waits for activities that have begun. */
  stop(): void;
}

/**
 * Runs the workflows and activities of clusters. `state/worker.ready` in the data folder contains our pid once they
 * can start.
 * @throws Error when Temporal does not answer within a minute
 */
export async function serveRuns(config: WorkerConfig, log: Logger, backends: WorkerBackends): Promise<ServedRuns> {
  const { db, store, archive, clusters, clusterNames } = backends;
  const { installationId, runs } = db;
  const target = await readTarget({
    address: config.TEMPORAL_ADDRESS,
    namespace: config.TEMPORAL_NAMESPACE,
    apiKey: config.TEMPORAL_API_KEY,
    ...config.temporal,
  });
  const client = await connectClient(target, CONNECT_MS);
  const connection = await NativeConnection.connect(connectionOptionsOf(target));
  const stateDir = join(config.TYGER_DATA_DIR, "state");
  const lostRuns = createLostRuns(join(stateDir, LOST_RUNS_FILE), log);
  const surroundings = {
    db,
    store,
    archive,
    client,
    connection,
    hasSearchAttributes: searchAttributeCheck(client),
    workflowBundle: config.TYGER_WORKFLOW_BUNDLE,
    maxCachedWorkflows: Math.ceil(MAX_CACHED / clusters.length),
  };
  const served = await Promise.all(
    clusters.map((cluster) => {
      const reportLost = lostRuns.reporterOf(cluster.name);
      // With one cluster, its name tells nothing.
      const ownLog = clusterNames.length > 1 ? log.child({ cluster: cluster.name }) : log;
      return serveCluster(cluster, { ...surroundings, reportLost, log: ownLog });
    }),
  );

  const stopping = new AbortController();
  const raising: NumberPorts = {
    runs,
    workflows: createRunWorkflows(client, installationId),
    clusters: { names: clusterNames, own: clusters.map(({ writer }) => writer) },
    archive,
    log: eachOnce(log),
  };
  // Before a workflow can run; what could not be asked is asked again until it answers.
  const raised = (await raiseNumbers(raising)) ? undefined : raiseLater(raising, stopping.signal);
  const stop = (): void => {
    stopping.abort();
    for (const cluster of served) cluster.shutDown();
  };
  const running = served.map((cluster) => cluster.run());
  // One that fails ends the process, so that all are started again.
  for (const one of running) one.catch(stop);
  const reconciling = await Promise.all(served.map((cluster) => cluster.reconcile(stopping.signal)));
  // One of the server's worker processes is enough, and this cluster always has one.
  const isDefault = clusters.some(({ name }) => name === clusterNames[0]);
  const unserved = isDefault
    ? lookAfterUnserved({ db, store, archive, client, clusterNames, log }, stopping.signal)
    : undefined;
  const marks = { installation: installationId, "worker.ready": String(process.pid) };
  const marked = leaveMarks(stateDir, marks, log, stopping.signal);
  log.info({ taskQueues: served.map(({ taskQueue }) => taskQueue) }, "worker is ready");

  const end = async (): Promise<void> => {
    const ran = await Promise.allSettled(running);
    stopping.abort();
    await Promise.all([raised, marked, unserved, ...reconciling.map(({ ended }) => ended)]);
    await client.connection.close();
    await connection.close();
    await db.close();
    const failure = ran.find((one) => one.status === "rejected");
    if (failure) throw failure.reason;
  };
  return { ended: end(), stop };
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

async function raiseLater(ports: NumberPorts, signal: AbortSignal): Promise<void> {
  const isRaised = () =>
    raiseNumbers(ports).catch((err: unknown) => {
      ports.log.warn({ reason: messageOf(err) }, "could not raise the numbers of runs, trying again");
      return false;
    });
  await poll(async () => ((await isRaised()) ? true : undefined), { everyMs: RAISE_AGAIN_MS, signal });
}
