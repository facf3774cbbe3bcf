import { randomBytes } from "node:crypto";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runActivities } from "../../activities/run.ts";
import type { Database } from "../../model/ports/database.ts";
import { base32 } from "../../model/buffer/buffer.ts";
import { CodedError } from "../../model/errors.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import { taskQueueOf, workflowIdOf } from "../../model/run/names.ts";
import { repairEnds, repairStarts, type LostRun } from "../../runs/repair.ts";
import { reconcileForever } from "../../worker/reconciler.ts";
import { createRunWorkflows, type ClusterWorkflows } from "../../temporal/run-workflows.ts";
import { createdRun, newRun, openFresh } from "../db/fixture.ts";
import { eventually } from "../eventually.ts";
import { createFakeRunPorts, type FakeRunPorts } from "../fakes/run-ports.ts";
import { openTemporalRig, type TemporalRig } from "../temporal-rig.ts";

const CLUSTER = "docker";
const RUNNING: ReplicaState = { container: { phase: "Running", startedAt: "2024-01-01T00:00:00Z" } };

let rig: TemporalRig;
let database: Database;
/** Each test has an installation of its own: no other test uses its ids and its task queue. */
let installation: string;
let workflows: ClusterWorkflows;
let ports: FakeRunPorts;

beforeAll(async () => {
  rig = await openTemporalRig();
});
afterAll(() => rig?.close());
beforeEach(async () => {
  ({ database } = await openFresh());
  installation = base32(randomBytes(8)).slice(0, 10);
  workflows = createRunWorkflows(rig.client, installation, CLUSTER);
  ports = createFakeRunPorts(database.runs, { maxLiveRuns: 1000, offerSlot: async () => undefined });
});

let lost: readonly LostRun[] = [];
const reportLost = (found: readonly LostRun[]): void => {
  lost = found;
};
const pass = async (): Promise<void> => {
  const parts = { ...ports, workflows, reportLost, log: pino({ level: "silent" }) };
  await repairStarts(parts);
  await repairEnds(parts);
};
const handleOf = (run: RunIdentity) => rig.client.workflow.getHandle(workflowIdOf(installation, run.id));

/** A run with an open workflow, on which no worker works. */
async function startedRun(given: Partial<ReturnType<typeof newRun>> = {}): Promise<RunIdentity> {
  const run = await createdRun(database, given);
  await workflows.start(run);
  await database.runs.recordWorkflowStarted(run.id);
  return run;
}

/** The workflow of the run ends by itself, without recording an end of the run. */
async function closeWorkflow(run: RunIdentity, argument: RunIdentity): Promise<void> {
  const taskQueue = taskQueueOf(installation, CLUSTER);
  const worker = await rig.createWorker({ taskQueue, activities: runActivities(ports) });
  await worker.runUntil(async () => {
    const workflowId = workflowIdOf(installation, run.id);
    const given = { taskQueue, workflowId, args: [argument], memo: { uid: run.uid } };
    const handle = await rig.client.workflow.start("executeRun", given);
    await handle.result().catch(() => undefined);
  });
}

/** Visibility trails the truth by up to a second. */
const untilListed = (run: RunIdentity) => eventually(async () => (await workflows.openRuns()).has(run.id));

describe("an orphaned run", () => {
  test("gets a workflow where it has none, and only one", async () => {
    const run = await createdRun(database);
    expect(await workflows.phaseOf(run)).toBe("Gone");
    await pass();
    expect(await workflows.phaseOf(run)).toBe("Open");
    expect(await database.runs.unstarted()).toEqual([]);
    const { runId } = await handleOf(run).describe();
    await untilListed(run);
    await pass();
    expect((await handleOf(run).describe()).runId).toBe(runId);
  });

  test("gets a new workflow where its own is gone from Temporal", async () => {
    const run = await createdRun(database);
    await database.runs.recordWorkflowStarted(run.id);
    await pass();
    expect(await workflows.phaseOf(run)).toBe("Open");
    expect((await database.runs.find(run.id))?.status).toBe("Pending");
  });

  test("fails and is stopped when its workflow was terminated", async () => {
    const run = await startedRun();
    ports.observed.set(run.id, RUNNING);
    await handleOf(run).terminate("by a test");
    await eventually(async () => {
      await pass();
      return (await database.runs.find(run.id))?.archivedAt;
    });
    expect(await database.runs.find(run.id)).toMatchObject({
      status: "Failed",
      statusReason: "The workflow of the run was terminated",
    });
    expect(ports.calls).toEqual([`stop ${run.id}`, `archive ${run.id}`, `remove ${run.id}`]);
  });

  test("ends as its container did, when that had ended unnoticed", async () => {
    const run = await startedRun();
    ports.observed.set(run.id, { container: { phase: "Exited", exitCode: 0, finishedAt: new Date().toISOString() } });
    await handleOf(run).terminate();
    await eventually(async () => {
      await pass();
      return (await database.runs.find(run.id))?.archivedAt;
    });
    expect((await database.runs.find(run.id))?.status).toBe("Succeeded");
    expect(ports.calls).toEqual([`archive ${run.id}`, `remove ${run.id}`]);
  });

  test("fails when its workflow failed", async () => {
    const run = await createdRun(database);
    await database.runs.recordWorkflowStarted(run.id);
    ports.observed.set(run.id, RUNNING);
    await closeWorkflow(run, { id: 999_999 });
    expect(await workflows.phaseOf(run)).toBe("Failed");
    await pass();
    expect(await database.runs.find(run.id)).toMatchObject({
      status: "Failed",
      statusReason: "The workflow of the run failed",
    });
  });

  test("fails when its workflow completed without recording its end", async () => {
    const [run, other] = [await createdRun(database), await createdRun(database)];
    await database.runs.recordWorkflowStarted(run.id);
    await database.runs.recordWorkflowStarted(other.id);
    await database.runs.finish(other, { status: "Succeeded" });
    ports.observed.set(run.id, RUNNING);
    await closeWorkflow(run, other);
    expect(await workflows.phaseOf(run)).toBe("Completed");
    await pass();
    expect(await database.runs.find(run.id)).toMatchObject({
      status: "Failed",
      statusReason: "The workflow of the run ended without recording how the run ended",
    });
  });
});

test("a finished id is never started again", async () => {
  const run = await startedRun();
  await handleOf(run).terminate();
  await workflows.start(run);
  expect(await workflows.phaseOf(run)).toBe("Terminated");
});

test("a cancel that its workflow did not get is sent again", async () => {
  const run = await startedRun();
  await untilListed(run);
  await database.runs.requestCancel(run.id);
  await pass();
  const { events } = await handleOf(run).fetchHistory();
  const signals = events?.flatMap((event) => event.workflowExecutionSignaledEventAttributes?.signalName ?? []);
  expect(signals).toContain("cancel");
});

test("unarchived logs are archived once the workflow is closed", async () => {
  const run = await startedRun();
  await database.runs.finish(run, { status: "Succeeded" });
  await untilListed(run);
  await pass();
  expect(ports.calls).toEqual([]);
  await handleOf(run).terminate();
  await eventually(async () => {
    await pass();
    return (await database.runs.find(run.id))?.archivedAt;
  });
  expect(ports.calls).toEqual([`archive ${run.id}`, `remove ${run.id}`]);
});

test("the engine's leftovers of an ended run are removed, those of an open one are not", async () => {
  const [ended, open] = [await createdRun(database), await startedRun()];
  await database.runs.recordWorkflowStarted(ended.id);
  await database.runs.finish(ended, { status: "Succeeded" });
  await database.runs.recordArchived(ended);
  await untilListed(open);
  ports.left.push(ended, open);
  await pass();
  expect(ports.calls).toEqual([`remove ${ended.id}`]);
});

test("runs that execute and that the database does not know are reported, and left alone", async () => {
  const [known, ended] = [await startedRun(), await createdRun(database)];
  await database.runs.recordWorkflowStarted(ended.id);
  await database.runs.finish(ended, { status: "Succeeded" });
  await database.runs.recordArchived(ended);
  await untilListed(known);
  ports.executing.push({ ...known, endCommand: "end known" });
  await pass();
  expect(lost).toEqual([]);
  const queued = { id: 1000, uid: "queued" };
  await workflows.start(queued);
  await untilListed(queued);
  const [reused, unknown] = [
    { id: ended.id, uid: "reused", endCommand: "end reused" },
    { id: 1001, uid: "unknown", endCommand: "end unknown" },
  ];
  ports.executing.push(reused, unknown);
  ports.left.push({ id: ended.id, uid: "reused" }, { id: 1001, uid: "unknown" });
  await pass();
  expect(lost).toEqual([queued, reused, unknown]);
  expect(ports.calls).toEqual([]);
});

test("one run that cannot be repaired does not hold up the others", async () => {
  const [first, second] = [await createdRun(database), await createdRun(database)];
  for (const run of [first, second]) {
    await database.runs.recordWorkflowStarted(run.id);
    await database.runs.finish(run, { status: "Succeeded" });
  }
  ports.archiveErrors.push(new CodedError("Unavailable", "no space"));
  await pass();
  expect((await database.runs.find(first.id))?.archivedAt).toBeUndefined();
  expect((await database.runs.find(second.id))?.archivedAt).toBeDefined();
});

test("passes continue after one that failed, and only while the lease is held", async () => {
  const stopping = new AbortController();
  const log: string[] = [];
  const held = [false, true, true, true, true, false];
  const isHeld = (): boolean => {
    log.push("asked");
    if (held.length === 1) stopping.abort();
    return held.shift() === true;
  };
  let failures = 1;
  const offerSlots = async (): Promise<void> => {
    log.push("starts");
    if (failures-- > 0) throw new Error("Temporal is away");
  };
  const openRuns: ClusterWorkflows["openRuns"] = async () => {
    log.push("ends");
    return workflows.openRuns();
  };
  const parts = {
    ...ports,
    workflows: { ...workflows, offerSlots, openRuns },
    reportLost,
    log: pino({ level: "silent" }),
  };
  await reconcileForever(parts, { everyMs: 1, endsEvery: 2 }, { isHeld }, stopping.signal);
  const passes = [["asked"], ["asked", "starts"], ["asked", "starts", "ends"], ["asked", "starts"]];
  expect(log).toEqual([...passes, ["asked", "starts", "ends"], ["asked"]].flat());
});
