import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runActivities } from "../../activities/run.ts";
import { CodedError } from "../../model/errors.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import { taskQueueOf, workflowIdOf } from "../../model/run/names.ts";
import { bufferId, createdRun, jobWithOutputs, newRun } from "../db/fixture.ts";
import { eventually } from "../eventually.ts";
import { unknownRun } from "../fakes/run-ports.ts";
import { openTemporalRig, type TemporalRig } from "../temporal-rig.ts";
import { CLUSTER, openRepairRig, type RepairRig } from "./repair-rig.ts";

const RUNNING: ReplicaState = { container: { phase: "Running", startedAt: "2024-01-01T00:00:00Z" } };

let temporal: TemporalRig;
let rig: RepairRig;
beforeAll(async () => {
  temporal = await openTemporalRig();
});
afterAll(() => temporal?.close());
beforeEach(async () => {
  rig = await openRepairRig(temporal);
});

/** The workflow of the run ends by itself, without recording an end of the run. */
async function closeWorkflow(run: RunIdentity, argument: RunIdentity): Promise<void> {
  const taskQueue = taskQueueOf(rig.installation, CLUSTER);
  const worker = await temporal.createWorker({ taskQueue, activities: runActivities(rig.ports) });
  await worker.runUntil(async () => {
    const workflowId = workflowIdOf(rig.installation, run.id);
    const given = { taskQueue, workflowId, args: [argument], memo: { uid: run.uid } };
    const handle = await temporal.client.workflow.start("executeRun", given);
    await handle.result().catch(() => undefined);
  });
}

describe("an orphaned run", () => {
  test("gets a workflow where it has none, and only one", async () => {
    const run = await createdRun(rig.database);
    expect(await rig.workflows.phaseOf(run)).toBe("Gone");
    await rig.pass();
    expect(await rig.workflows.phaseOf(run)).toBe("Open");
    expect(await rig.database.runsIn("docker").unstarted()).toEqual([]);
    const { runId } = await rig.handleOf(run).describe();
    await rig.untilListed(run);
    expect(await rig.workflows.countOpen()).toBe((await rig.workflows.openRuns()).size);
    await rig.pass();
    expect((await rig.handleOf(run).describe()).runId).toBe(runId);
  });

  test("gets a new workflow where its own is gone from Temporal", async () => {
    const run = await createdRun(rig.database);
    await rig.database.runs.recordWorkflowStarted(run.id);
    await rig.pass();
    expect(await rig.workflows.phaseOf(run)).toBe("Open");
    expect((await rig.rowOf(run)).status).toBe("Pending");
  });

  test("fails and is stopped when its workflow was terminated", async () => {
    const run = await rig.startedRun();
    rig.ports.observed.set(run.id, RUNNING);
    await rig.handleOf(run).terminate("by a test");
    await eventually(async () => {
      await rig.pass();
      return (await rig.rowOf(run)).archivedAt;
    });
    expect(await rig.database.runs.find(run.id)).toMatchObject({
      status: "Failed",
      statusReason: "The workflow of the run was terminated",
    });
    expect(rig.ports.calls).toEqual([`stop ${run.id}`, `archive ${run.id}`, `remove ${run.id}`]);
  });

  test("ends as its container did, when that had ended unnoticed", async () => {
    const run = await rig.startedRun();
    rig.ports.observed.set(run.id, {
      container: { phase: "Exited", exitCode: 0, finishedAt: new Date().toISOString() },
    });
    await rig.handleOf(run).terminate();
    await eventually(async () => {
      await rig.pass();
      return (await rig.rowOf(run)).archivedAt;
    });
    expect((await rig.rowOf(run)).status).toBe("Succeeded");
    expect(rig.ports.calls).toEqual([`archive ${run.id}`, `remove ${run.id}`]);
  });

  test("fails when its workflow failed", async () => {
    const run = await createdRun(rig.database);
    await rig.database.runs.recordWorkflowStarted(run.id);
    rig.ports.observed.set(run.id, RUNNING);
    await closeWorkflow(run, { id: 999_999 });
    expect(await rig.workflows.phaseOf(run)).toBe("Failed");
    await rig.pass();
    expect(await rig.database.runs.find(run.id)).toMatchObject({
      status: "Failed",
      statusReason: "The workflow of the run failed",
    });
  });

  test("fails when its workflow completed without recording its end", async () => {
    const [run, other] = [await createdRun(rig.database), await createdRun(rig.database)];
    await rig.database.runs.recordWorkflowStarted(run.id);
    await rig.database.runs.recordWorkflowStarted(other.id);
    await rig.database.runs.finish(other, { status: "Succeeded" });
    rig.ports.observed.set(run.id, RUNNING);
    await closeWorkflow(run, other);
    expect(await rig.workflows.phaseOf(run)).toBe("Completed");
    await rig.pass();
    expect(await rig.database.runs.find(run.id)).toMatchObject({
      status: "Failed",
      statusReason: "The workflow of the run ended without recording how the run ended",
    });
  });
});

test.each([
  [{ status: "Failed", statusReason: "Main exited with code 3" } as const, "Failed"],
  [{ status: "Canceled", statusReason: "Canceled by user" } as const, "Canceled"],
])("a run that ended as %o keeps its end, whatever its workflow closed as", async (outcome, closedAs) => {
  const run = await rig.startedRun();
  await rig.database.runs.finish(run, outcome);
  await rig.database.runs.recordArchived(run);
  const worker = await temporal.createWorker({
    taskQueue: taskQueueOf(rig.installation, CLUSTER),
    activities: runActivities(rig.ports),
  });
  await worker.runUntil(() =>
    rig
      .handleOf(run)
      .result()
      .catch(() => undefined),
  );
  expect(await rig.workflows.phaseOf(run)).toBe(closedAs);
  const ended = await rig.rowOf(run);
  const calls = [...rig.ports.calls];
  await rig.pass();
  expect(await rig.rowOf(run)).toEqual(ended);
  expect([rig.ports.calls, rig.lost()]).toEqual([calls, []]);
});

test("a finished id is never started again", async () => {
  const run = await rig.startedRun();
  await rig.handleOf(run).terminate();
  await rig.workflows.start(run);
  expect(await rig.workflows.phaseOf(run)).toBe("Terminated");
});

test("a cancel that its workflow did not get is sent again", async () => {
  const run = await rig.startedRun();
  await rig.untilListed(run);
  await rig.database.runs.requestCancel(run.id);
  await rig.pass();
  const { events } = await rig.handleOf(run).fetchHistory();
  const signals = events?.flatMap((event) => event.workflowExecutionSignaledEventAttributes?.signalName ?? []);
  expect(signals).toContain("cancel");
});

test("unarchived logs are archived once the workflow is closed", async () => {
  const run = await rig.startedRun();
  await rig.database.runs.finish(run, { status: "Succeeded" });
  await rig.untilListed(run);
  await rig.pass();
  expect(rig.ports.calls).toEqual([]);
  await rig.handleOf(run).terminate();
  await eventually(async () => {
    await rig.pass();
    return (await rig.rowOf(run)).archivedAt;
  });
  expect(rig.ports.calls).toEqual([`archive ${run.id}`, `remove ${run.id}`]);
});

test("outputs that have no end mark when their run has ended get one, and other runs can then have the buffers", async () => {
  const job = jobWithOutputs(bufferId());
  const run = await rig.startedRun({ job });
  const [output] = Object.values(job.buffers ?? {});
  // A worker that dies here, or a full disk, leaves it so.
  await rig.database.runs.finish(run, { status: "Failed" });
  await expect(rig.database.runs.create(newRun({ job }))).rejects.toMatchObject({ code: "InvalidInput" });
  await rig.pass();
  expect(rig.ports.marks).toEqual([output]);
  expect((await rig.database.runs.create(newRun({ job }))).created).toBe(true);
});

test("the engine's leftovers of an ended run are removed, those of an open one are not", async () => {
  const [ended, open] = [await createdRun(rig.database), await rig.startedRun()];
  await rig.database.runs.recordWorkflowStarted(ended.id);
  await rig.database.runs.finish(ended, { status: "Succeeded" });
  await rig.database.runs.recordArchived(ended);
  await rig.untilListed(open);
  rig.ports.traces.push({ ...ended, containers: "Ended", started: 1 }, { ...open, containers: "None", started: 0 });
  await rig.pass();
  expect(rig.ports.calls).toEqual([`remove ${ended.id}`]);
});

test("whatever the engine has of a run of another cluster is left alone, and not reported as lost", async () => {
  const [open, archived, ours] = [
    await createdRun(rig.database, { cluster: "b" }),
    await createdRun(rig.database, { cluster: "b" }),
    await createdRun(rig.database),
  ];
  for (const run of [archived, ours]) {
    await rig.database.runs.recordWorkflowStarted(run.id);
    await rig.database.runs.finish(run, { status: "Succeeded" });
    await rig.database.runs.recordArchived(run);
  }
  rig.ports.traces.push(
    { ...open, containers: "Ended", started: 1 },
    ...[archived, ours].map((run) => ({ ...run, containers: "Executing" as const, started: 1, endCommand: "end" })),
  );
  const failures: object[] = [];
  const log = { info: () => undefined, warn: (facts: object) => failures.push(facts) };
  const repair = rig.repairOf({ log });
  await rig.pass(repair);
  rig.later(120);
  await rig.pass(repair);
  expect(rig.ports.calls).toEqual([`remove ${ours.id}`, `remove ${ours.id}`]);
  expect(failures).toEqual([]);
  expect(rig.lost()).toEqual([]);
  expect((await rig.database.runs.load(open)).status).toBe("Pending");
  expect(await rig.workflows.phaseOf(open)).toBe("Gone");
});

test("runs that execute and that the database does not know are reported, and left alone", async () => {
  const [known, ended] = [await rig.startedRun(), await createdRun(rig.database)];
  await rig.database.runs.recordWorkflowStarted(ended.id);
  await rig.database.runs.finish(ended, { status: "Succeeded" });
  await rig.database.runs.recordArchived(ended);
  await rig.untilListed(known);
  rig.ports.traces.push({ ...known, containers: "Executing", started: 1, endCommand: "end known" });
  await rig.pass();
  expect(rig.lost()).toEqual([]);
  const queued = { id: 1000, uid: "queued" };
  await rig.workflows.start({ ...unknownRun, ...queued });
  await rig.untilListed(queued);
  const [reused, unknown] = [
    { id: ended.id, uid: "reused", endCommand: "end reused" },
    { id: 1001, uid: "unknown", endCommand: "end unknown" },
  ];
  rig.ports.traces.push(...[reused, unknown].map((run) => ({ ...run, containers: "Executing" as const, started: 1 })));
  await rig.pass();
  expect(rig.lost()).toEqual([queued, reused, unknown]);
  expect(rig.ports.calls).toEqual([]);
});

test("one run that cannot be repaired does not hold up the others", async () => {
  const [first, second] = [await createdRun(rig.database), await createdRun(rig.database)];
  for (const run of [first, second]) {
    await rig.database.runs.recordWorkflowStarted(run.id);
    await rig.database.runs.finish(run, { status: "Succeeded" });
  }
  rig.ports.archiveErrors.push(new CodedError("Unavailable", "no space"));
  await rig.pass();
  const archived = [await rig.rowOf(first), await rig.rowOf(second)].filter(
    ({ archivedAt }) => archivedAt !== undefined,
  );
  expect(archived).toHaveLength(1);
});
