import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import { watcherIdOf } from "../../model/run/names.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import type { RepairPorts } from "../../runs/repair/ports.ts";
import { createdRun } from "../db/fixture.ts";
import { eventually } from "../eventually.ts";
import { openTemporalRig, type TemporalRig } from "../temporal-rig.ts";
import { CLUSTER, openRepairRig, type RepairRig } from "./repair-rig.ts";

const RUNNING: ReplicaState = { container: { phase: "Running", startedAt: "2024-01-01T00:00:00Z" } };
const never = (): Promise<never> => new Promise(() => {});
const fail = (): Promise<never> => Promise.reject(new Error("away"));

let temporal: TemporalRig;
let rig: RepairRig;
beforeAll(async () => {
  temporal = await openTemporalRig();
});
afterAll(() => temporal?.close());
beforeEach(async () => {
  rig = await openRepairRig(temporal);
});

/** An open run that needs its end from outside. */
async function canceledRun(): Promise<RunIdentity> {
  const run = await rig.startedRun();
  rig.ports.observed.set(run.id, RUNNING);
  await rig.database.runs.requestCancel(run.id);
  await rig.age(run, 70);
  return run;
}

const isHealed = async (run: RunIdentity): Promise<boolean> => (await rig.rowOf(run)).archivedAt !== undefined;

/** Passes as the worker makes them: none is waited for. */
async function healsBy(ports: Partial<RepairPorts>, runs: readonly RunIdentity[]): Promise<boolean> {
  const repair = rig.repairOf(ports);
  const areHealed = await eventually(async () => {
    rig.later(16);
    repair.pass({ isWhole: true });
    return (await Promise.all(runs.map(isHealed))).every(Boolean);
  });
  repair.stop();
  return areHealed;
}

describe("other runs are healed while", () => {
  test("one run's archive never ends", async () => {
    const [stuck, ...others] = [await canceledRun(), await canceledRun(), await canceledRun()];
    const { archive } = rig.ports;
    const write: typeof archive.write = async (run, lines) =>
      run.id === stuck.id ? never() : archive.write(run, lines);
    expect(await healsBy({ archive: { write } }, others)).toBe(true);
    expect((await rig.rowOf(stuck)).status).toBe("Canceled");
    expect(await isHealed(stuck)).toBe(false);
  });

  test("no archive ends", async () => {
    const runs: RunIdentity[] = [];
    for (let n = 0; n < 20; n++) runs.push(await canceledRun());
    const repair = rig.repairOf({ archive: { write: never } });
    const areAllEnded = async (): Promise<boolean> => (await rig.database.runsIn("docker").open()).length === 0;
    repair.pass({ isWhole: true });
    await eventually(areAllEnded);
    // By now as many archives hang as can: a run that is canceled later ends all the same.
    runs.push(await canceledRun());
    rig.later(16);
    repair.pass({ isWhole: true });
    await eventually(areAllEnded);
    expect(await rig.database.runsIn("docker").unarchived()).toHaveLength(runs.length);
  });

  test.each(["observe", "stop", "remove"] as const)("the engine answers no %s of one run", async (call) => {
    const [stuck, ...others] = [await canceledRun(), await canceledRun(), await canceledRun()];
    const { compute } = rig.ports;
    const hanging = {
      ...compute,
      [call]: (...[run, replica]: Parameters<typeof compute.stop>) =>
        run.id === stuck.id ? never() : compute[call](run, replica),
    };
    expect(await healsBy({ compute: hanging }, others)).toBe(true);
  });

  test.each([
    ["never answers", never],
    ["fails", fail],
  ])("the engine's list of containers %s", async (_case, survey) => {
    expect(await healsBy({ compute: { ...rig.ports.compute, survey } }, [await canceledRun()])).toBe(true);
  });

  test.each([
    ["never answers", never],
    ["fails", fail],
  ])("Temporal's list of workflows %s", async (_case, openRuns) => {
    expect(await healsBy({ workflows: { ...rig.workflows, openRuns } }, [await canceledRun()])).toBe(true);
  });

  test("Temporal cannot describe one workflow", async () => {
    const [stuck, other] = [await rig.startedRun(), await rig.startedRun()];
    for (const run of [stuck, other]) {
      rig.ports.observed.set(run.id, RUNNING);
      await rig.handleOf(run).terminate();
    }
    const phaseOf: typeof rig.workflows.phaseOf = (run) => (run.id === stuck.id ? fail() : rig.workflows.phaseOf(run));
    expect(await healsBy({ workflows: { ...rig.workflows, phaseOf } }, [other])).toBe(true);
    expect((await rig.rowOf(stuck)).status).toBe("Pending");
  });

  test("the database cannot say which runs have no workflow", async () => {
    expect(await healsBy({ runs: { ...rig.ports.runs, unstarted: fail } }, [await canceledRun()])).toBe(true);
  });
});

test("a run with a workflow that cannot be started holds up no other start", async () => {
  const [stuck, other] = [await createdRun(rig.database), await createdRun(rig.database)];
  const start: typeof rig.workflows.start = (run) => (run.id === stuck.id ? never() : rig.workflows.start(run));
  rig.repairOf({ workflows: { ...rig.workflows, start } }).pass({ isWhole: false });
  await eventually(async () => (await rig.workflows.phaseOf(other)) === "Open");
  expect(await rig.workflows.phaseOf(stuck)).toBe("Gone");
});

test("the watcher's workflow is started again after it was terminated or canceled", async () => {
  const watcher = temporal.client.workflow.getHandle(watcherIdOf(rig.installation, CLUSTER));
  const statusOf = async (): Promise<string> => (await watcher.describe()).status.name;
  await rig.pass();
  const { runId } = await watcher.describe();
  await rig.pass();
  expect((await watcher.describe()).runId).toBe(runId);
  await watcher.terminate("by a test");
  expect(await statusOf()).toBe("TERMINATED");
  await rig.pass();
  expect(await statusOf()).toBe("RUNNING");
  await watcher.terminate();
});

describe("a worker that loses its lease in the middle of a heal", () => {
  /** Each of these calls is the last one that still happens. */
  test.each(["load", "observe", "stop", "finish", "terminate"])(
    "acts no more after '%s', and the next one completes it",
    async (last) => {
      const run = await canceledRun();
      let isHeld = true;
      const losing = <T extends object>(port: T): T =>
        new Proxy(port, {
          get: (target, name) => {
            const method: unknown = Reflect.get(target, name);
            if (typeof method !== "function") return method;
            return async (...given: unknown[]): Promise<unknown> => {
              const answer: unknown = await Reflect.apply(method, target, given);
              if (name === last) isHeld = false;
              return answer;
            };
          },
        });
      const acts: string[] = [];
      const recorded: Partial<RepairPorts> = {
        runs: losing(rig.ports.runs),
        compute: losing(rig.ports.compute),
        workflows: losing(rig.workflows),
        mayAct: () => isHeld,
      };
      await rig.pass(rig.repairOf(recorded));
      acts.push(...rig.ports.calls);
      expect(isHeld).toBe(false);
      expect(acts).toEqual(["load", "observe"].includes(last) ? [] : [`stop ${run.id}`]);
      expect((await rig.rowOf(run)).status).toBe(["finish", "terminate"].includes(last) ? "Canceled" : "Canceling");
      expect(await isHealed(run)).toBe(false);

      await rig.pass();
      expect(await rig.rowOf(run)).toMatchObject({ status: "Canceled", archivedAt: expect.any(String) });
      expect(await rig.workflows.phaseOf(run)).toBe("Terminated");
    },
  );
});
