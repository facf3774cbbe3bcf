import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Context } from "@temporalio/activity";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runActivities } from "../../activities/run.ts";
import { watchActivities } from "../../activities/watch.ts";
import { base32 } from "../../model/buffer/buffer.ts";
import { CodedError } from "../../model/errors.ts";
import type { NewRun } from "../../model/ports/records.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import { taskQueueOf, watcherIdOf, workflowIdOf } from "../../model/run/names.ts";
import { changesOf } from "../../model/run/replica-changes.ts";
import type { ReplicaChange } from "../../model/run/replicas.ts";
import { createClusterWorkflows } from "../../temporal/run-workflows.ts";
import { cancelRun, currentRun, replicasChanged } from "../../workflows/messages.ts";
import { createFakeCompute } from "../fakes/compute.ts";
import { createFakeRunPorts, type FakeRunPorts } from "../fakes/run-ports.ts";
import { eventually } from "../eventually.ts";
import type { JobScript } from "../ports/compute.ts";
import { openStage, type Begun, type Stage } from "./stage.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage?.close());

const job = { codespec: { kind: "job" as const, image: "image" } };
const exited = (exitCode: number): ReplicaState => ({
  container: { phase: "Exited", exitCode, finishedAt: new Date().toISOString() },
});
const launchedAll = (ports: FakeRunPorts, count: number) =>
  eventually(() => ports.calls.filter((call) => call.startsWith("launch")).length === count);
const tell = ({ handle, uid }: Begun, changes: ReplicaChange[]) =>
  handle.signal(replicasChanged, changesOf(uid, changes));
const stopsIn = (ports: FakeRunPorts): string[] => ports.calls.filter((call) => call.startsWith("stop")).toSorted();

describe("a run with three replicas", () => {
  const given: Partial<NewRun> = { job, replicaCount: 3 };
  const allOf = (verb: string, id: number): string[] => [`${verb} ${id}`, `${verb} ${id}-1`, `${verb} ${id}-2`];

  test("succeeds when all have, and not before", async () => {
    await stage.withWorker(
      async ({ ports, begin }) => {
        const run = await begin(given);
        await launchedAll(ports, 3);
        await tell(run, [
          [0, exited(0)],
          [2, exited(0)],
        ]);
        await eventually(async () => (await run.handle.query(currentRun)).replicas?.[2]?.container.phase === "Exited");
        expect((await stage.db.runs.find(run.id))?.status).toBe("Running");
        await tell(run, [[1, exited(0)]]);
        expect(await run.end()).toMatchObject({ status: "Succeeded", closedAs: "COMPLETED" });
        expect(ports.calls).toEqual([...allOf("launch", run.id), `archive ${run.id}`, `remove ${run.id}`]);
      },
      { record: "replicas-succeeded" },
    );
  });

  test("ends with the first that fails, and the others are stopped", async () => {
    await stage.withWorker(
      async ({ ports, begin }) => {
        const run = await begin(given);
        await launchedAll(ports, 3);
        await tell(run, [[1, exited(3)]]);
        expect(await run.end()).toMatchObject({
          status: "Failed",
          closedAs: "FAILED",
          statusReason: "Main exited with code 3 (replica 1)",
        });
        expect(stopsIn(ports)).toEqual(allOf("stop", run.id));
      },
      { record: "replica-failed" },
    );
  });

  test("ends with the one whose pump died, although the others end no later than its job", async () => {
    await stage.withWorker(async ({ ports, begin }) => {
      const run = await begin(given);
      await launchedAll(ports, 3);
      await tell(run, [[2, { container: { phase: "Running" }, pump: { phase: "Dead" } }]]);
      expect(await run.end()).toMatchObject({
        status: "Failed",
        statusReason: "The process that streams the buffers died before it finished (replica 2)",
      });
    });
  });

  test("is canceled as a whole", async () => {
    await stage.withWorker(
      async ({ ports, begin }) => {
        const run = await begin(given);
        await launchedAll(ports, 3);
        await tell(run, [[0, exited(0)]]);
        await run.handle.signal(cancelRun);
        expect(await run.end()).toMatchObject({ status: "Canceled", statusReason: "Canceled by user" });
        expect(stopsIn(ports)).toEqual(allOf("stop", run.id));
      },
      { record: "replicas-canceled" },
    );
  });
});

test("when a replica fails during the launch, the others are not launched any more", async () => {
  await stage.withWorker(
    async ({ ports, begin }) => {
      const launch = ports.compute.launch.bind(ports.compute);
      ports.compute.launch = async (run, replica) => {
        const launched = await launch(run, replica);
        const { cancellationSignal } = Context.current();
        // The launch takes until the run must stop.
        if (!cancellationSignal.aborted) await once(cancellationSignal, "abort");
        return launched;
      };
      const run = await begin({ job, replicaCount: 20 });
      await launchedAll(ports, 8);
      await tell(run, [[3, exited(4)]]);
      expect(await run.end()).toMatchObject({
        status: "Failed",
        statusReason: "Main exited with code 4 (replica 3)",
      });
      expect(ports.calls.filter((call) => call.startsWith("launch"))).toHaveLength(8);
      expect(stopsIn(ports)).toHaveLength(20);
    },
    { record: "replica-failed-during-launch" },
  );
});

test("a replica that cannot be launched fails the run, and those that were are stopped", async () => {
  await stage.withWorker(async ({ ports, begin }) => {
    const launch = ports.compute.launch.bind(ports.compute);
    ports.compute.launch = async (run, replica) => {
      if (replica === 1) throw new CodedError("LaunchFailed", "no such program");
      return launch(run, replica);
    };
    const run = await begin({ job, replicaCount: 3 });
    expect(await run.end()).toMatchObject({ status: "Failed", statusReason: "no such program" });
    expect(stopsIn(ports)).toHaveLength(3);
  });
});

/** A worker with the fake backend, its watcher, and a run of a thousand replicas that do what the script says. */
async function runThousand(script: JobScript) {
  const installation = base32(randomBytes(8)).slice(0, 10);
  const { db, rig } = stage;
  const fake = createFakeCompute(db.claims, script);
  const workflows = createClusterWorkflows(rig.client, installation, "docker");
  const runs = db.runsIn("docker");
  const ports = {
    ...createFakeRunPorts(runs, { maxLiveRuns: 1000, offerSlot: async () => undefined }),
    compute: fake.writer,
  };
  const worker = await rig.createWorker({
    taskQueue: taskQueueOf(installation, "docker"),
    activities: {
      ...runActivities(ports),
      ...watchActivities({ watcher: fake.watcher, reportReplicas: workflows.reportReplicas, runs }),
    },
    shutdownGraceTime: "1 second",
  });
  const { run } = await db.runs.create({
    job,
    replicaCount: 1000,
    timeoutSeconds: 3600,
    bufferAccessTtl: "01:00:00",
    newBuffers: [],
  });
  const counts: number[] = [];
  const handle = rig.client.workflow.getHandle(workflowIdOf(installation, run.id));
  await worker.runUntil(async () => {
    await workflows.startWatcher();
    await workflows.start(run);
    await db.runs.recordWorkflowStarted(run.id);
    await eventually(
      async () => {
        const { runningCount, status } = await db.runs.load(run);
        if (runningCount !== undefined) counts.push(runningCount);
        return status === "Succeeded" || status === "Failed";
      },
      { withinMs: 120_000 },
    );
    await handle.result().catch(() => undefined);
    await rig.client.workflow.getHandle(watcherIdOf(installation, "docker")).terminate();
  });
  const events = (await handle.fetchHistory()).events ?? [];
  return {
    row: await db.runs.load(run),
    begins: fake.begins.get(run.id),
    counts,
    events: events.length,
    signals: events.filter((event) => event.workflowExecutionSignaledEventAttributes).length,
  };
}

describe("a thousand replicas", () => {
  test("that end one by one make a history of a few events, and are counted", async () => {
    const { row, begins, counts, events, signals } = await runThousand({ forMs: 5000 });
    expect(row.status).toBe("Succeeded");
    expect(begins).toBe(1000);
    expect(Math.max(...counts)).toBeGreaterThan(1);
    expect(Math.max(...counts)).toBeLessThanOrEqual(1000);
    expect(events).toBeLessThan(2000);
    expect(signals).toBeLessThan(10);
  });

  test("of which one fails are stopped, with as small a history", async () => {
    const { row, events, signals } = await runThousand({ forMs: 600_000, exitCodes: { 500: 7 }, failsAfterMs: 100 });
    expect(row).toMatchObject({ status: "Failed", statusReason: "Main exited with code 7 (replica 500)" });
    expect(events).toBeLessThan(2000);
    expect(signals).toBeLessThan(10);
  });
});
