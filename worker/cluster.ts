import { Worker, type NativeConnection } from "@temporalio/worker";
import type { Logger } from "pino";
import { runActivities } from "../activities/run.ts";
import { watchActivities } from "../activities/watch.ts";
import type { ComputeReader, ComputeWatcher, ComputeWriter } from "../model/ports/compute.ts";
import type { Database, Leases } from "../model/ports/database.ts";
import type { LogArchive } from "../model/ports/log.ts";
import type { BufferStore } from "../model/ports/store.ts";
import { reconcilerLeaseOf, taskQueueOf } from "../model/run/names.ts";
import type { LostRun } from "../runs/repair/ports.ts";
import { createRepair, type Repair } from "../runs/repair/repair.ts";
import type { Client } from "../temporal/connection.ts";
import { createClusterWorkflows } from "../temporal/run-workflows.ts";
import { atMost } from "../waiting/bounded.ts";
import { holdLease } from "./lease.ts";
import { reconcileForever } from "./reconciler.ts";

/** Well within the minute in which everything half done must be repaired. */
const RECONCILE = { everyMs: 5_000, wholeEvery: 3 };
/** How long the end of the process waits for repairs that it interrupts; the next worker makes them. */
const REPAIRS_END_MS = 3_000;

/** A cluster and the ways to it. */
export interface ClusterBackend {
  /** In the names of task queues and of the watcher, and in rows. */
  name: string;
  /** Slots: how many of its runs can be admitted at once. */
  maxLiveRuns: number;
  writer: ComputeWriter;
  logs: Pick<ComputeReader, "logs">;
  watcher: ComputeWatcher;
}

/** All that the clusters of a worker process share. */
export interface ClusterSurroundings {
  db: Database;
  store: BufferStore;
  archive: LogArchive;
  client: Client;
  connection: NativeConnection;
  hasSearchAttributes: () => Promise<boolean>;
  workflowBundle: string;
  /** Of Temporal's cache, for each cluster. */
  maxCachedWorkflows: number;
  log: Logger;
  reportLost: (lost: readonly LostRun[]) => void;
}

/** One cluster's Temporal worker and reconciler. */
export interface ServedCluster {
  taskQueue: string;
  /** Takes work from now on. Settles when its worker has shut down; rejects when it failed. */
  run(): Promise<void>;
  /** Takes no more work, and waits for activities that have begun. */
  shutDown(): void;
  /** Repairs runs until `signal` is aborted; then gives up the lease. */
  reconcile(signal: AbortSignal): Promise<{ ended: Promise<void> }>;
}

/** Prepares what executes the runs of one cluster. Nothing of it touches a run of another one. */
export async function serveCluster(
  { name, maxLiveRuns, writer, logs, watcher }: ClusterBackend,
  { db, store, archive, client, connection, log, reportLost, ...given }: ClusterSurroundings,
): Promise<ServedCluster> {
  const { installationId } = db;
  const runs = db.runsIn(name);
  const workflows = createClusterWorkflows(client, installationId, name);
  const { hasSearchAttributes } = given;
  const ports = { runs, workflows, compute: writer, logs, archive, store, log, maxLiveRuns, hasSearchAttributes };
  const worker = await Worker.create({
    connection,
    namespace: client.options.namespace,
    taskQueue: taskQueueOf(installationId, name),
    workflowBundle: { codePath: given.workflowBundle },
    activities: {
      ...runActivities(ports),
      ...watchActivities({
        watcher,
        reportReplicas: workflows.reportReplicas,
        runs,
        ...(watcher.startsLater ? { starts: { runs, hasSearchAttributes } } : {}),
      }),
    },
    // A waiting run holds no activity. Workflows beyond this are replayed when they are signaled.
    maxCachedWorkflows: given.maxCachedWorkflows,
    // A cancel reaches an activity by its heartbeat; the default throttle would hold it back.
    maxHeartbeatThrottleInterval: "1 second",
    // After this the watcher is canceled, and ends; the steps of runs are still waited for.
    shutdownGraceTime: "1 second",
  });

  return {
    taskQueue: worker.options.taskQueue,
    run: () => worker.run(),
    shutDown() {
      if (worker.getState() === "RUNNING") worker.shutdown();
    },
    reconcile: (signal) => {
      const repairOf = (mayAct: () => boolean): Repair => createRepair({ ...ports, reportLost, mayAct });
      return reconcileCluster(repairOf, { name, leases: db.leases, log }, signal);
    },
  };
}

/** Repairs the runs of a cluster while it holds the lease, until `signal` is aborted; then gives up the lease. */
export async function reconcileCluster(
  repairOf: (mayAct: () => boolean) => Repair,
  { name, leases, log }: { name: string; leases: Leases; log: Logger },
  signal: AbortSignal,
): Promise<{ ended: Promise<void> }> {
  const lease = await holdLease(leases, reconcilerLeaseOf(name), log);
  const repair = repairOf(() => lease.isHeld());
  const end = async (): Promise<void> => {
    await reconcileForever(repair, RECONCILE, lease, signal);
    repair.stop();
    await atMost(REPAIRS_END_MS, repair.settled());
    await lease.release();
  };
  return { ended: end() };
}
