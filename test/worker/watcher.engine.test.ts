import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Worker } from "@temporalio/worker";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { watchActivities, type WatchPorts } from "../../activities/watch.ts";
import { base32 } from "../../model/buffer/buffer.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import type { SeenReplica } from "../../model/ports/compute.ts";
import type { ClusterWorkflows } from "../../model/ports/workflows.ts";
import { taskQueueOf, watcherIdOf } from "../../model/run/names.ts";
import { createClusterWorkflows } from "../../temporal/run-workflows.ts";
import { eventually, stays } from "../eventually.ts";
import { openTemporalRig, type TemporalRig } from "../temporal-rig.ts";

const CLUSTER = "docker";
/** Of a run with one replica. */
const only = (state: ReplicaState): SeenReplica => ({ index: 0, count: 1, state });
const exited = (exitCode: number): ReplicaState => ({ container: { phase: "Exited", exitCode } });

let rig: TemporalRig;
let installation: string;
let workflows: ClusterWorkflows;

beforeAll(async () => {
  rig = await openTemporalRig();
});
afterAll(() => rig?.close());
beforeEach(() => {
  installation = base32(randomBytes(8)).slice(0, 10);
  workflows = createClusterWorkflows(rig.client, installation, CLUSTER);
});

const workerWith = (ports: WatchPorts): Promise<Worker> =>
  rig.createWorker({
    taskQueue: taskQueueOf(installation, CLUSTER),
    activities: watchActivities(ports),
    shutdownGraceTime: "1 second",
  });

const untilAborted = async (signal: AbortSignal): Promise<void> => {
  if (!signal.aborted) await once(signal, "abort");
};

test("a cluster has one watcher, however often it is started, and the next worker takes over", async () => {
  const watching: string[] = [];
  const portsOf = (name: string): WatchPorts => ({
    watcher: {
      async watch(_report, signal) {
        watching.push(name);
        await untilAborted(signal);
      },
    },
    reportReplicas: async () => undefined,
    runs: { recordReason: async () => undefined, recordRunningCount: async () => undefined },
  });
  await workflows.startWatcher();
  await workflows.startWatcher();
  const first = await workerWith(portsOf("first"));
  await first.runUntil(() => eventually(() => watching.length === 1));
  const second = await workerWith(portsOf("second"));
  await second.runUntil(() => eventually(() => watching.length === 2, { withinMs: 20_000 }));
  expect(watching).toEqual(["first", "second"]);
  await rig.client.workflow.getHandle(watcherIdOf(installation, CLUSTER)).terminate();
});

test("a state that could not be delivered is sent again, but only the newest one", async () => {
  const told: string[] = [];
  let isAway = true;
  let attempts = 0;
  const worker = await workerWith({
    watcher: {
      async watch(report, signal) {
        await report({ id: 7, uid: "a" }, only(exited(1)));
        await report({ id: 7, uid: "a" }, only(exited(2)));
        await untilAborted(signal);
      },
    },
    async reportReplicas({ id: runId }, changes) {
      attempts += 1;
      if (isAway) throw new Error("Temporal is away");
      told.push(`${runId} exit ${changes[0]?.[1].container.exitCode}`);
    },
    runs: { recordReason: async () => undefined, recordRunningCount: async () => undefined },
  });
  await workflows.startWatcher();
  await worker.runUntil(async () => {
    // One for each state, and one that was sent again.
    await eventually(() => attempts >= 3);
    isAway = false;
    await eventually(() => told.length > 0);
    // Longer than the pause between two times of sending.
    await stays(() => told.length === 1, { looks: 15, everyMs: 100 });
  });
  expect(told).toEqual(["7 exit 2"]);
  await rig.client.workflow.getHandle(watcherIdOf(installation, CLUSTER)).terminate();
});

test("a workflow is signaled about its replica only when it has something to do", async () => {
  const running = { phase: "Running" } as const;
  const states: ReplicaState[] = [
    { container: { phase: "Created" } },
    { container: running, pump: running },
    { container: running, pump: { phase: "Failed" } },
    { ...exited(0), pump: running },
    { ...exited(0), pump: { phase: "Succeeded" } },
  ];
  const told: ReplicaState[] = [];
  let isDone = false;
  const worker = await workerWith({
    watcher: {
      async watch(report, signal) {
        for (const state of states) await report({ id: 7, uid: "a" }, only(state));
        isDone = true;
        await untilAborted(signal);
      },
    },
    async reportReplicas(_runId, changes) {
      for (const [, state] of changes) told.push(state);
    },
    runs: { recordReason: async () => undefined, recordRunningCount: async () => undefined },
  });
  await workflows.startWatcher();
  await worker.runUntil(() => eventually(() => isDone));
  expect(told).toEqual([states[2], states[4]]);
  await rig.client.workflow.getHandle(watcherIdOf(installation, CLUSTER)).terminate();
});

test("a container that begins later makes its run Running, with its count, and until then its reason is reported", async () => {
  const told: string[] = [];
  const waits: ReplicaState = { container: { phase: "Created", message: "no node" } };
  const runs: ReplicaState = { container: { phase: "Running", startedAt: "2026-01-01T00:00:01Z" } };
  let isAway = true;
  const worker = await workerWith({
    watcher: {
      async watch(report, signal) {
        await report({ id: 7, uid: "a" }, { index: 0, count: 2, state: waits });
        await eventually(() => told.length === 2);
        for (const index of [0, 1]) await report({ id: 7, uid: "a" }, { index, count: 2, state: runs });
        await untilAborted(signal);
      },
    },
    async reportReplicas({ id }, changes, tagging) {
      const phases = changes.map(([index, { container }]) => `${index} ${container.phase}`);
      told.push(`${id} state ${phases.join(", ")}, ${tagging?.tagUntil ? "tagged" : "untagged"}`);
    },
    runs: {
      recordReason: async () => undefined,
      recordRunningCount: async ({ id }, count) => void told.push(`${id} count ${count}`),
    },
    starts: {
      hasSearchAttributes: async () => true,
      runs: {
        recordWaiting: async ({ id }, reason) => void told.push(`${id} waits ${reason}`),
        async recordStart({ id }, startedAt) {
          if (isAway) {
            isAway = false;
            throw new Error("the database is away");
          }
          told.push(`${id} starts ${startedAt}`);
        },
      },
    },
  });
  await workflows.startWatcher();
  // The count from before the start, which no row has taken, and that of the start.
  await worker.runUntil(() => eventually(() => told.filter((line) => line === "7 count 2").length === 2));
  expect(told.filter((line) => !line.includes("count"))).toEqual([
    "7 waits replica 0: no node",
    "7 state 0 Created, untagged",
    "7 starts 2026-01-01T00:00:01Z",
    "7 state 0 Running, tagged",
  ]);
  await rig.client.workflow.getHandle(watcherIdOf(installation, CLUSTER)).terminate();
});

test("outputs that are stored for long are a reason and a state, once, and those that are stored soon are not", async () => {
  const told: string[] = [];
  const storing = { ...exited(0), pump: { phase: "Running" } } as const;
  const stored = { ...exited(0), pump: { phase: "Succeeded" } } as const;
  let isAway = true;
  const worker = await workerWith({
    watcher: {
      async watch(report, signal) {
        for (const id of [7, 8]) await report({ id, uid: "a" }, only(storing));
        await report({ id: 8, uid: "a" }, only(stored));
        // As with each listing.
        await report({ id: 7, uid: "a" }, only(storing));
        await eventually(() => told.includes("7 state Running"));
        await report({ id: 7, uid: "a" }, only(storing));
        await report({ id: 7, uid: "a" }, only(stored));
        await untilAborted(signal);
      },
    },
    async reportReplicas({ id }, changes) {
      told.push(`${id} state ${changes[0]?.[1].pump?.phase}`);
    },
    runs: {
      recordRunningCount: async () => undefined,
      async recordReason({ id }, reason) {
        told.push(`${id} reason ${reason}`);
        if (!isAway) return;
        isAway = false;
        throw new Error("the database is away");
      },
    },
  });
  await workflows.startWatcher();
  await worker.runUntil(() => eventually(() => told.includes("7 state Succeeded")));
  const reason = "7 reason The job has ended; its outputs are being stored";
  expect(told).toEqual(["8 state Succeeded", reason, reason, "7 state Running", "7 state Succeeded"]);
  await rig.client.workflow.getHandle(watcherIdOf(installation, CLUSTER)).terminate();
});
