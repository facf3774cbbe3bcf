import { randomBytes } from "node:crypto";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runActivities } from "../../activities/run.ts";
import type { Database } from "../../model/ports/database.ts";
import { base32 } from "../../model/buffer/buffer.ts";
import { CodedError } from "../../model/errors.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import { taskQueueOf, workflowIdOf } from "../../model/run/names.ts";
import { repairEnds, repairStarts } from "../../runs/repair.ts";
import { reconcileForever } from "../../worker/reconciler.ts";
import { createRunWorkflows, type ClusterWorkflows } from "../../temporal/run-workflows.ts";
import { createdId, newRun, openFresh } from "../db/fixture.ts";
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

const pass = async (): Promise<void> => {
  const parts = { ...ports, workflows, log: pino({ level: "silent" }) };
  await repairStarts(parts);
  await repairEnds(parts);
};
const handleOf = (id: number) => rig.client.workflow.getHandle(workflowIdOf(installation, id));

/** A run with an open workflow, on which no worker works. */
async function startedRun(given: Partial<ReturnType<typeof newRun>> = {}): Promise<number> {
  const id = await createdId(database, given);
  await workflows.start(id);
  await database.runs.recordWorkflowStarted(id);
  return id;
}

/** The workflow of the run ends by itself, without recording an end of the run. */
async function closeWorkflow(id: number, argument: number): Promise<void> {
  const taskQueue = taskQueueOf(installation, CLUSTER);
  const worker = await rig.createWorker({ taskQueue, activities: runActivities(ports) });
  await worker.runUntil(async () => {
    const workflowId = workflowIdOf(installation, id);
    const handle = await rig.client.workflow.start("runWorkflow", { taskQueue, workflowId, args: [argument] });
    await handle.result().catch(() => undefined);
  });
}

/** Visibility trails the truth by up to a second. */
const untilListed = (id: number) => eventually(async () => (await workflows.openIds()).has(id));

describe("an orphaned run", () => {
  test("gets a workflow where it has none, and only one", async () => {
    const id = await createdId(database);
    expect(await workflows.phaseOf(id)).toBe("Gone");
    await pass();
    expect(await workflows.phaseOf(id)).toBe("Open");
    expect(await database.runs.unstarted()).toEqual([]);
    const { runId } = await handleOf(id).describe();
    await untilListed(id);
    await pass();
    expect((await handleOf(id).describe()).runId).toBe(runId);
  });

  test("gets a new workflow where its own is gone from Temporal", async () => {
    const id = await createdId(database);
    await database.runs.recordWorkflowStarted(id);
    await pass();
    expect(await workflows.phaseOf(id)).toBe("Open");
    expect((await database.runs.find(id))?.status).toBe("Pending");
  });

  test("fails and is stopped when its workflow was terminated", async () => {
    const id = await startedRun();
    ports.observed.set(id, RUNNING);
    await handleOf(id).terminate("by a test");
    await eventually(async () => {
      await pass();
      return (await database.runs.find(id))?.archivedAt;
    });
    expect(await database.runs.find(id)).toMatchObject({
      status: "Failed",
      statusReason: "The workflow of the run was terminated",
    });
    expect(ports.calls).toEqual([`stop ${id}`, `archive ${id}`, `remove ${id}`]);
  });

  test("ends as its container did, when that had ended unnoticed", async () => {
    const id = await startedRun();
    ports.observed.set(id, { container: { phase: "Exited", exitCode: 0, finishedAt: new Date().toISOString() } });
    await handleOf(id).terminate();
    await eventually(async () => {
      await pass();
      return (await database.runs.find(id))?.archivedAt;
    });
    expect((await database.runs.find(id))?.status).toBe("Succeeded");
    expect(ports.calls).toEqual([`archive ${id}`, `remove ${id}`]);
  });

  test("fails when its workflow failed", async () => {
    const id = await createdId(database);
    await database.runs.recordWorkflowStarted(id);
    ports.observed.set(id, RUNNING);
    await closeWorkflow(id, 999_999);
    expect(await workflows.phaseOf(id)).toBe("Failed");
    await pass();
    expect(await database.runs.find(id)).toMatchObject({
      status: "Failed",
      statusReason: "The workflow of the run failed",
    });
  });

  test("fails when its workflow completed without recording its end", async () => {
    const [id, other] = [await createdId(database), await createdId(database)];
    await database.runs.recordWorkflowStarted(id);
    await database.runs.recordWorkflowStarted(other);
    await database.runs.finish(other, { status: "Succeeded" });
    ports.observed.set(id, RUNNING);
    await closeWorkflow(id, other);
    expect(await workflows.phaseOf(id)).toBe("Completed");
    await pass();
    expect(await database.runs.find(id)).toMatchObject({
      status: "Failed",
      statusReason: "The workflow of the run ended without recording how the run ended",
    });
  });
});

test("a finished id is never started again", async () => {
  const id = await startedRun();
  await handleOf(id).terminate();
  await workflows.start(id);
  expect(await workflows.phaseOf(id)).toBe("Terminated");
});

test("a cancel that its workflow did not get is sent again", async () => {
  const id = await startedRun();
  await untilListed(id);
  await database.runs.requestCancel(id);
  await pass();
  const { events } = await handleOf(id).fetchHistory();
  const signals = events?.flatMap((event) => event.workflowExecutionSignaledEventAttributes?.signalName ?? []);
  expect(signals).toContain("cancel");
});

test("unarchived logs are archived once the workflow is closed", async () => {
  const id = await startedRun();
  await database.runs.finish(id, { status: "Succeeded" });
  await untilListed(id);
  await pass();
  expect(ports.calls).toEqual([]);
  await handleOf(id).terminate();
  await eventually(async () => {
    await pass();
    return (await database.runs.find(id))?.archivedAt;
  });
  expect(ports.calls).toEqual([`archive ${id}`, `remove ${id}`]);
});

test("the engine's leftovers of an ended run are removed, those of an open one are not", async () => {
  const [ended, open] = [await createdId(database), await startedRun()];
  await database.runs.recordWorkflowStarted(ended);
  await database.runs.finish(ended, { status: "Succeeded" });
  await database.runs.recordArchived(ended);
  await untilListed(open);
  ports.left.push(ended, open);
  await pass();
  expect(ports.calls).toEqual([`remove ${ended}`]);
});

test("one run that cannot be repaired does not hold up the others", async () => {
  const [first, second] = [await createdId(database), await createdId(database)];
  for (const id of [first, second]) {
    await database.runs.recordWorkflowStarted(id);
    await database.runs.finish(id, { status: "Succeeded" });
  }
  ports.archiveErrors.push(new CodedError("Unavailable", "no space"));
  await pass();
  expect((await database.runs.find(first))?.archivedAt).toBeUndefined();
  expect((await database.runs.find(second))?.archivedAt).toBeDefined();
});

test("passes continue after one that failed, and only where the lock is held", async () => {
  const stopping = new AbortController();
  const log: string[] = [];
  const taken = [false, new Error("the database is away"), true, new Error("away again"), true, true];
  const takeLock = async (): Promise<boolean> => {
    const answer = taken.shift();
    log.push("asked");
    if (answer instanceof Error) throw answer;
    if (taken.length === 0) stopping.abort();
    return answer === true;
  };
  const offerSlots = async (): Promise<void> => {
    log.push("starts");
  };
  const openIds = async (): Promise<Set<number>> => {
    log.push("ends");
    return workflows.openIds();
  };
  const parts = { ...ports, workflows: { ...workflows, offerSlots, openIds }, log: pino({ level: "silent" }) };
  await reconcileForever(parts, { everyMs: 1, endsEvery: 2 }, takeLock, stopping.signal);
  const passes = [["asked"], ["asked"], ["asked", "starts", "ends"], ["asked"], ["asked", "starts"]];
  expect(log).toEqual([...passes, ["asked", "starts", "ends"]].flat());
});
