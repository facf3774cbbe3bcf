import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CodedError } from "../../model/errors.ts";
import type { ComputeWriter } from "../../model/ports/compute.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import type { ReplicaStates } from "../../model/run/replicas.ts";
import { createdRun } from "../db/fixture.ts";
import { openTemporalRig, type TemporalRig } from "../temporal-rig.ts";
import { openRepairRig, type RepairRig } from "./repair-rig.ts";

const DAY_S = 24 * 3600;
const LONG_AGO = "2024-01-01T00:00:00Z";
const RUNNING: ReplicaState = { container: { phase: "Running", startedAt: LONG_AGO } };

let temporal: TemporalRig;
let rig: RepairRig;
beforeAll(async () => {
  temporal = await openTemporalRig();
});
afterAll(() => temporal?.close());
beforeEach(async () => {
  rig = await openRepairRig(temporal);
});

/** A run with a workflow that does nothing, as with a bad deployment, whose job is seen like this. */
async function stuckRun(seen: ReplicaState | ReplicaStates, timeoutSeconds = 43_200): Promise<RunIdentity> {
  const states = [seen].flat();
  const run = await rig.startedRun({ timeoutSeconds, replicaCount: states.length });
  if (states[0]?.container.startedAt !== undefined) await rig.database.runs.recordRunning(run.id, 1, LONG_AGO);
  rig.ports.observed.set(run.id, seen);
  return run;
}

async function canceledRun(seen: ReplicaState | ReplicaStates): Promise<RunIdentity> {
  const run = await stuckRun(seen);
  await rig.database.runs.requestCancel(run.id);
  return run;
}

const exited = (finishedAt: string, exitCode = 0): ReplicaState => ({
  container: { phase: "Exited", startedAt: LONG_AGO, finishedAt, exitCode },
});

/** Signals that the run's workflow got, and the reason of its termination. */
async function historyOf(run: RunIdentity): Promise<{ signals: string[]; terminated: string | undefined }> {
  const { events } = await rig.handleOf(run).fetchHistory();
  const all = events ?? [];
  return {
    signals: all.flatMap((event) => event.workflowExecutionSignaledEventAttributes?.signalName ?? []),
    terminated: all
      .map((event) => event.workflowExecutionTerminatedEventAttributes?.reason ?? undefined)
      .find((reason) => reason !== undefined),
  };
}

describe("a run whose workflow does not act", () => {
  test("is canceled from outside a minute after the cancel, and its workflow says why", async () => {
    const run = await canceledRun(RUNNING);
    await rig.age(run, 40);
    await rig.pass();
    expect(rig.ports.calls).toEqual([]);
    expect((await rig.rowOf(run)).status).toBe("Canceling");
    expect((await historyOf(run)).signals).toEqual(["cancel"]);

    await rig.age(run, 25);
    await rig.pass();
    expect(await rig.rowOf(run)).toMatchObject({ status: "Canceled", statusReason: "Canceled by user" });
    expect(rig.ports.calls).toEqual([`stop ${run.id}`, `archive ${run.id}`, `remove ${run.id}`]);
    expect((await historyOf(run)).terminated).toBe(
      "The reconciler ended the run in place of this workflow: Canceled: Canceled by user",
    );
    await rig.pass();
    expect(rig.ports.calls).toHaveLength(3);
  });

  test("ends two minutes after its deadline", async () => {
    const run = await stuckRun(RUNNING, 60);
    await rig.age(run, 60 + 100);
    await rig.pass();
    expect(rig.ports.calls).toEqual([]);
    await rig.age(run, 25);
    await rig.pass();
    expect(await rig.rowOf(run)).toMatchObject({
      status: "Failed",
      statusReason: "The run did not end within its timeout",
    });
  });

  test("is canceled at its deadline if it never started, and has failed if its container is gone since", async () => {
    const pending = await stuckRun({ container: { phase: "Unknown" } }, 60);
    const gone = await stuckRun({ container: { phase: "Gone" } }, 60);
    await rig.database.runs.recordRunning(gone.id, 1, LONG_AGO);
    const compute = { ...rig.ports.compute, stop: async () => ({ container: { phase: "Gone" as const } }) };
    for (const run of [pending, gone]) await rig.age(run, 200);
    await rig.pass(rig.repairOf({ compute }));
    expect(await rig.rowOf(pending)).toMatchObject({
      status: "Canceled",
      statusReason: expect.stringMatching(/\btimeout\b/),
    });
    expect((await rig.rowOf(gone)).status).toBe("Failed");
  });

  test.each([
    ["before the cancel", -1000, "Succeeded"],
    ["after the cancel", 1000, "Canceled"],
  ])("ends as its container did if that ended %s", async (_case, ms, status) => {
    const run = await canceledRun(RUNNING);
    await rig.age(run, 70);
    const canceledAt = Date.parse((await rig.rowOf(run)).cancelRequestedAt ?? "");
    rig.ports.observed.set(run.id, exited(new Date(canceledAt + ms).toISOString()));
    await rig.pass();
    expect((await rig.rowOf(run)).status).toBe(status);
    expect(rig.ports.calls).toEqual([`archive ${run.id}`, `remove ${run.id}`]);
  });

  test("that has no workflow yet is canceled, too, and no workflow is started for it later", async () => {
    const run = await createdRun(rig.database);
    await rig.database.runs.requestCancel(run.id);
    rig.ports.observed.set(run.id, { container: { phase: "Unknown" } });
    await rig.age(run, 70);
    const start = () => Promise.reject(new Error("Temporal is away"));
    await rig.pass(rig.repairOf({ workflows: { ...rig.workflows, start } }));
    expect((await rig.rowOf(run)).status).toBe("Canceled");
    await rig.pass();
    expect(await rig.workflows.phaseOf(run)).toBe("Gone");
  });
});

/** An engine that refuses connections. */
const engineAway = (): ComputeWriter => {
  const away = () => Promise.reject(new CodedError("Unavailable", "The engine does not answer"));
  return { provision: away, launch: away, stop: away, observe: away, remove: away, survey: away };
};

describe("while the cluster does not answer", () => {
  test("a canceled run stays open and says why, and ends once the cluster is back", async () => {
    const run = await canceledRun(RUNNING);
    await rig.age(run, 70);
    await rig.pass(rig.repairOf({ compute: engineAway() }));
    expect(await rig.rowOf(run)).toMatchObject({
      status: "Canceling",
      statusReason: "Waiting to stop the container: The engine does not answer",
    });
    await rig.pass();
    expect(await rig.rowOf(run)).toMatchObject({ status: "Canceled", statusReason: "Canceled by user" });
  });

  test("the reason goes when the run then ends as its container did", async () => {
    const run = await stuckRun(exited(LONG_AGO), 60);
    await rig.age(run, 200);
    await rig.pass(rig.repairOf({ compute: engineAway() }));
    expect((await rig.rowOf(run)).statusReason).toContain("Waiting to stop");
    await rig.pass();
    expect(await rig.rowOf(run)).toMatchObject({ status: "Succeeded" });
    expect(await rig.rowOf(run)).not.toHaveProperty("statusReason");
  });

  test("a run fails a day after the cancel, and its stop stays owed, whichever worker is there when the cluster is back", async () => {
    const run = await canceledRun(RUNNING);
    await rig.age(run, DAY_S - 60);
    await rig.pass(rig.repairOf({ compute: engineAway() }));
    expect((await rig.rowOf(run)).status).toBe("Canceling");
    await rig.age(run, 120);
    await rig.pass(rig.repairOf({ compute: engineAway() }));
    expect(await rig.rowOf(run)).toMatchObject({
      status: "Failed",
      statusReason: "The container could not be stopped for 24 hours: The engine does not answer",
    });
    expect(await rig.workflows.phaseOf(run)).toBe("Open");
    await rig.pass(rig.repairOf({ compute: engineAway() }));
    expect(rig.ports.calls).toEqual([]);

    await rig.pass(rig.repairOf());
    expect(rig.ports.calls).toEqual([`stop ${run.id}`, `archive ${run.id}`, `remove ${run.id}`]);
    expect((await rig.rowOf(run)).archivedAt).toBeDefined();
    expect(await rig.workflows.phaseOf(run)).toBe("Terminated");
  });
});

test("an end whose archive or end marks failed is completed by the next passes", async () => {
  const run = await canceledRun(RUNNING);
  await rig.age(run, 70);
  rig.ports.archiveErrors.push(new CodedError("Unavailable", "no space"));
  await rig.pass();
  expect(await rig.rowOf(run)).not.toHaveProperty("archivedAt");
  await rig.pass();
  expect((await rig.rowOf(run)).archivedAt).toBeDefined();
  expect(rig.ports.calls.at(-1)).toBe(`remove ${run.id}`);
});

describe("an open run whose container has ended unnoticed", () => {
  test("is reported to its workflow again, and ends half a minute later if that did not help", async () => {
    const run = await stuckRun(exited(LONG_AGO, 3));
    rig.ports.traces.push({ ...run, containers: "Ended", started: 1 });
    await rig.pass();
    expect((await historyOf(run)).signals).toEqual(["replicasChanged"]);
    expect((await rig.rowOf(run)).status).toBe("Running");
    rig.later(30);
    await rig.pass();
    expect(await rig.rowOf(run)).toMatchObject({ status: "Failed", statusReason: "Main exited with code 3" });
    expect((await historyOf(run)).terminated).toContain("Main exited with code 3");
    expect(rig.ports.calls).toEqual([`archive ${run.id}`, `remove ${run.id}`]);
  });

  test("has half a minute before anything is done, also if the engine's clock is wrong", async () => {
    const run = await stuckRun(exited(new Date(Date.now() + 3_600_000).toISOString()));
    rig.ports.traces.push({ ...run, containers: "Ended", started: 1 });
    await rig.pass();
    expect((await historyOf(run)).signals).toEqual([]);
    rig.later(15);
    await rig.pass();
    expect((await historyOf(run)).signals).toEqual(["replicasChanged"]);
  });

  test("has not ended while its pump still stores bytes", async () => {
    const run = await stuckRun({ ...exited(LONG_AGO), pump: { phase: "Running" } });
    rig.ports.traces.push({ ...run, containers: "Ended", started: 1 });
    for (let minute = 0; minute < 10; minute++) {
      rig.later(60);
      await rig.pass();
    }
    expect((await historyOf(run)).signals).toEqual([]);
    expect((await rig.rowOf(run)).status).toBe("Running");
    // Bytes that the pump stored late make no long settled run.
    rig.ports.observed.set(run.id, { ...exited(LONG_AGO), pump: { phase: "Succeeded" } });
    await rig.pass();
    rig.later(30);
    await rig.pass();
    expect((await rig.rowOf(run)).status).toBe("Succeeded");
  });

  test("and has been removed is noticed, too, without a date", async () => {
    const run = await stuckRun({ container: { phase: "Gone" } });
    await rig.database.runs.recordRunning(run.id, 1, LONG_AGO);
    await rig.pass();
    rig.later(15);
    await rig.pass();
    expect((await historyOf(run)).signals).toEqual(["replicasChanged"]);
    rig.later(30);
    await rig.pass();
    expect(await rig.rowOf(run)).toMatchObject({
      status: "Failed",
      statusReason: "The container disappeared; its exit code is unknown",
    });
  });

  test("ends while Temporal is away", async () => {
    const run = await stuckRun(exited(LONG_AGO));
    rig.ports.traces.push({ ...run, containers: "Ended", started: 1 });
    const away = () => Promise.reject(new Error("Temporal is away"));
    const workflows = {
      ...rig.workflows,
      start: away,
      cancel: away,
      terminate: away,
      startWatcher: away,
      reportReplicas: away,
      offerSlots: away,
      phaseOf: away,
      openRuns: away,
    };
    const repair = rig.repairOf({ workflows });
    await rig.pass(repair);
    rig.later(30);
    await rig.pass(repair);
    expect(await rig.rowOf(run)).toMatchObject({ status: "Succeeded", archivedAt: expect.any(String) });
    expect(rig.ports.calls).toEqual([`archive ${run.id}`, `remove ${run.id}`]);
  });
});

describe("an open run with replicas and without a watcher", () => {
  const trace = { containers: "Partly", started: 3 } as const;

  test("is left alone while some replicas run and the others have succeeded", async () => {
    const run = await stuckRun([exited(LONG_AGO), RUNNING, exited(LONG_AGO)]);
    rig.ports.traces.push({ ...run, ...trace });
    for (let minute = 0; minute < 5; minute++) {
      rig.later(60);
      await rig.pass();
    }
    expect((await historyOf(run)).signals).toEqual([]);
    expect(rig.ports.calls).toEqual([]);
    rig.ports.observed.set(run.id, [exited(LONG_AGO), exited(LONG_AGO), exited(LONG_AGO)]);
    rig.ports.traces.splice(0, 1, { ...run, containers: "Ended", started: 3 });
    await rig.pass();
    rig.later(30);
    await rig.pass();
    expect(await rig.rowOf(run)).toMatchObject({ status: "Succeeded" });
    expect(rig.ports.calls).toEqual([`archive ${run.id}`, `remove ${run.id}`]);
  });

  test("ends with its first replica that failed, and the others are stopped", async () => {
    const run = await stuckRun([exited("2024-01-01T00:00:09Z", 4), RUNNING, exited("2024-01-01T00:00:05Z", 3)]);
    rig.ports.traces.push({ ...run, ...trace });
    await rig.pass();
    expect((await historyOf(run)).signals).toEqual(["replicasChanged"]);
    rig.later(30);
    await rig.pass();
    expect(await rig.rowOf(run)).toMatchObject({
      status: "Failed",
      statusReason: "Main exited with code 3 (replica 2)",
    });
    expect(rig.ports.calls.slice(0, 3).toSorted()).toEqual([0, 1, 2].map((n) => `stop ${run.id}${n ? `-${n}` : ""}`));
    expect(rig.ports.calls).toEqual(expect.arrayContaining([`archive ${run.id}`, `remove ${run.id}`]));
  });

  test("one of whose containers was removed is noticed", async () => {
    const run = await stuckRun([RUNNING, { container: { phase: "Gone" } }]);
    rig.ports.traces.push({ ...run, containers: "Executing", started: 1 });
    await rig.pass();
    rig.later(30);
    await rig.pass();
    rig.later(30);
    await rig.pass();
    expect(await rig.rowOf(run)).toMatchObject({
      status: "Failed",
      statusReason: "The container disappeared; its exit code is unknown (replica 1)",
    });
    expect(rig.ports.calls).toContain(`stop ${run.id}`);
  });

  test("is canceled as a whole, and a failure before the cancel wins", async () => {
    const [canceled, failed] = [
      await canceledRun([RUNNING, RUNNING]),
      await canceledRun([RUNNING, exited("2024-01-01T00:00:05Z", 3)]),
    ];
    for (const run of [canceled, failed]) await rig.age(run, 70);
    await rig.pass();
    expect(await rig.rowOf(canceled)).toMatchObject({ status: "Canceled" });
    expect(rig.ports.calls).toEqual(expect.arrayContaining([`stop ${canceled.id}`, `stop ${canceled.id}-1`]));
    expect(await rig.rowOf(failed)).toMatchObject({
      status: "Failed",
      statusReason: "Main exited with code 3 (replica 1)",
    });
    expect(rig.ports.calls).toContain(`stop ${failed.id}`);
  });
});

test("a workflow that is still open 20 s after its run was archived is terminated", async () => {
  const run = await rig.startedRun();
  await rig.untilListed(run);
  await rig.database.runs.finish(run, { status: "Succeeded" });
  await rig.database.runs.recordArchived(run);
  for (let pass = 0; pass < 2; pass++) {
    await rig.pass();
    expect(await rig.workflows.phaseOf(run)).toBe("Open");
  }
  await rig.pass();
  expect((await historyOf(run)).terminated).toBe(
    "The run has ended and its logs are archived: this workflow had nothing left to do",
  );
});

test("a run of the same number is never terminated for another one", async () => {
  const run = await rig.startedRun();
  await rig.workflows.terminate({ id: run.id, uid: "another" }, "by mistake");
  expect(await rig.workflows.phaseOf(run)).toBe("Open");
  await rig.workflows.terminate({ id: 404, uid: "unknown" }, "by mistake");
});
