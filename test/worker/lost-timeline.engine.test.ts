import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { pino } from "pino";
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from "vitest";
import { runActivities } from "../../activities/run.ts";
import { watchActivities } from "../../activities/watch.ts";
import { createDockerWatcher } from "../../docker/watcher.ts";
import { createFolderObjects } from "../../buffers/filesystem/folder-objects.ts";
import { createLogArchive } from "../../logs/archive.ts";
import { LOCAL } from "../../model/buffer/location.ts";
import { containerNameOf, taskQueueOf, workflowIdOf } from "../../model/run/names.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { raiseNumbers, type NumberPorts } from "../../runs/numbers.ts";
import type { LostRun } from "../../runs/repair/ports.ts";
import { createRepair } from "../../runs/repair/repair.ts";
import { createClusterWorkflows } from "../../temporal/run-workflows.ts";
import { newRun, openFresh } from "../db/fixture.ts";
import { openDockerRig, type DockerRig } from "../docker/rig.ts";
import { eventually } from "../eventually.ts";
import { logsIn } from "../fakes/locations.ts";
import { createFakeRunPorts, unknownRun } from "../fakes/run-ports.ts";
import { openTemporalRig, type TemporalRig } from "../temporal-rig.ts";

const CLUSTER = "docker";

let temporal: TemporalRig;
let docker: DockerRig;
beforeAll(async () => {
  temporal = await openTemporalRig();
  docker = await openDockerRig();
});
afterAll(async () => {
  await docker?.close();
  await temporal?.close();
});

/** A worker without its reconciler, on the real engines; `restore` gives the database its state from before all runs. */
async function openWorker() {
  const { url, database } = await openFresh();
  const { installationId, runsDir, reader } = docker;
  const dir = await mkdtemp(join(tmpdir(), "tyger-lost-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const workflows = createClusterWorkflows(temporal.client, installationId, CLUSTER);
  const archive = createLogArchive(logsIn(createFolderObjects(dir)));
  const compute = docker.writerWith(database.claims);
  let lostRuns: readonly LostRun[] = [];
  const ports = {
    ...createFakeRunPorts(database.runsIn("docker"), { maxLiveRuns: 100, offerSlot: async () => undefined }),
    workflows,
    compute,
    clusters: { names: [CLUSTER], own: [compute] },
    logs: reader,
    archive,
    reportLost: (found: readonly LostRun[]) => {
      lostRuns = found;
    },
    mayAct: () => true,
    log: pino({ level: "silent" }),
  };
  const repairs = createRepair(ports);
  const watcher = createDockerWatcher({ installationId, claims: database.claims, runsDir, log: ports.log });
  const worker = await temporal.createWorker({
    taskQueue: taskQueueOf(installationId, CLUSTER),
    activities: {
      ...runActivities(ports),
      ...watchActivities({ watcher, reportReplicas: workflows.reportReplicas, runs: database.runs }),
    },
    shutdownGraceTime: "1 second",
  });
  await workflows.startWatcher();
  const running = worker.run();
  onTestFinished(async () => {
    worker.shutdown();
    await running;
  });
  const client = postgres(url, { max: 1, onnotice: () => {} });
  onTestFinished(() => client.end({ timeout: 1 }));
  return {
    database,
    workflows,
    ports,
    repair: async (): Promise<void> => {
      repairs.pass({ isWhole: true });
      await repairs.settled();
    },
    lostRuns: () => lostRuns,
    create: async (script: string): Promise<RunRecord> => {
      const codespec = { kind: "job" as const, image: inject("testImage"), command: ["bash", "-c", script] };
      return (await database.runs.create(newRun({ job: { codespec } }))).run;
    },
    logOf: async (run: RunRecord): Promise<string> => {
      let text = "";
      for await (const batch of (await archive.read(run, {})) ?? []) {
        for (const { bytes } of batch) text += Buffer.from(bytes).toString();
      }
      return text;
    },
    restore: async (): Promise<void> => {
      await client.unsafe("delete from launches; delete from runs; alter table runs alter column id restart with 1");
    },
  };
}

test("a run that gets the number of a lost one fails, and takes nothing of it", async () => {
  const { database, workflows, ports, repair, create, logOf, restore, lostRuns } = await openWorker();
  const { runs } = database;
  const lost = await create("echo from the lost run; read -t 5 < <(sleep 600); echo its end");
  await workflows.start(lost);
  await runs.recordWorkflowStarted(lost.id);
  await eventually(async () => (await runs.find(lost.id))?.status === "Running", { withinMs: 60_000 });
  await restore();

  const run = await create("exit 3");
  expect(run.id).toBe(lost.id);
  const workflowId = workflowIdOf(docker.installationId, lost.id);
  const reason = `The workflow '${workflowId}' belongs to another run with the number ${run.id}`;
  await expect(workflows.start(run)).rejects.toMatchObject({ code: "Conflict", message: reason });
  await workflows.cancel(run);
  await repair();
  expect(await runs.find(run.id)).toMatchObject({ status: "Failed", statusReason: reason });
  expect(await logOf(run)).toBe("");
  // The lost run still executes, as nobody has ended it.
  const container = await docker.engine.inspect(containerNameOf(docker.installationId, lost.id, 0));
  expect(container?.State.Running).toBe(true);
  const endCommand = `docker stop ${containerNameOf(docker.installationId, lost.id, 0)}`;
  expect(lostRuns()).toEqual([{ id: lost.id, uid: lost.uid, endCommand }]);
  // Its end changes nothing of the run that has its number.
  const ended = await runs.find(run.id);
  await expect(temporal.client.workflow.getHandle(workflowId).result()).rejects.toThrow("Workflow execution failed");
  await repair();
  expect(await runs.find(run.id)).toEqual(ended);
  expect(await logOf(run)).toBe("");
  expect((await docker.engine.inspect(container?.Id ?? ""))?.State.Running).toBe(false);
  await eventually(async () => {
    await repair();
    return lostRuns().length === 0;
  });

  // Once a worker has started, no number that is in use is given out again.
  expect(await raiseNumbers(ports)).toBe(true);
  expect((await create("true")).id).toBe(lost.id + 1);
}, 180_000);

const AWAY = { survey: () => Promise.reject(new Error("the engine is away")) };

type TestWorker = Awaited<ReturnType<typeof openWorker>>;

/** Makes `id` a number that only one place knows. */
const KNOWN: Record<string, (worker: TestWorker, id: number) => Promise<Partial<NumberPorts>>> = {
  async Temporal({ workflows }, id) {
    await workflows.start({ ...unknownRun, id, uid: "lost" });
    await eventually(async () => (await workflows.highestNumber(["other", CLUSTER], undefined)) >= id);
    return { workflows };
  },
  async "Temporal, in another cluster,"({ workflows, ports }, id) {
    await workflows.start({ ...unknownRun, id, uid: "lost", cluster: "other" });
    await eventually(async () => (await workflows.highestNumber(["other"], undefined)) >= id);
    return { workflows, clusters: { ...ports.clusters, names: ["other"] } };
  },
  async "the engine"({ ports, create }, id) {
    await ports.compute.provision({ ...(await create("true")), id });
    return { clusters: ports.clusters };
  },
  async "the archive"({ ports, create }, id) {
    await ports.archive.write(
      { id, uid: "lost" },
      ports.logs.logs(await create("true"), {}, AbortSignal.timeout(10_000)),
    );
    return { archive: ports.archive };
  },
};

test.each(Object.entries(KNOWN))("numbers are raised above those that only %s knows", async (_place, know) => {
  const worker = await openWorker();
  const id = randomInt(1000, 1_000_000_000);
  const known = await know(worker, id);
  await worker.restore();
  const silent = {
    workflows: { highestNumber: async () => 0 },
    clusters: { names: [CLUSTER], own: [{ survey: async () => [] }] },
    archive: { locations: async () => [LOCAL], highestNumber: async () => 0 },
  };
  expect(await raiseNumbers({ ...worker.ports, ...silent, ...known })).toBe(true);
  expect((await worker.create("true")).id).toBe(id + 1);
});

test("a place that cannot be asked is reported, and the others count", async () => {
  const { ports, create } = await openWorker();
  await ports.archive.write(
    { id: 2_000_000_000, uid: "lost" },
    ports.logs.logs(await create("true"), {}, AbortSignal.timeout(10_000)),
  );
  const clusters = { names: [CLUSTER], own: [ports.compute, AWAY] };
  expect(await raiseNumbers({ ...ports, clusters })).toBe(false);
  expect((await create("true")).id).toBe(2_000_000_001);
});

test("only workflows since the last complete check are read, whatever was created meanwhile", async () => {
  const { ports, database, create } = await openWorker();
  const asked: (string | undefined)[] = [];
  const workflows = {
    highestNumber: async (_clusters: readonly string[], since: string | undefined) => {
      asked.push(since);
      return 0;
    },
  };
  await raiseNumbers({ ...ports, workflows, clusters: { names: [CLUSTER], own: [AWAY] } });
  const { nowAt: before } = await database.runs.numberCheck();
  await raiseNumbers({ ...ports, workflows });
  const { nowAt: after } = await database.runs.numberCheck();
  await create("true");
  await raiseNumbers({ ...ports, workflows });
  expect(asked.slice(0, 2)).toEqual([undefined, undefined]);
  const [, , checkedAt = ""] = asked;
  expect([before, checkedAt, after].map((at) => Date.parse(at))).toEqual(
    [before, checkedAt, after].map((at) => Date.parse(at)).toSorted((a, b) => a - b),
  );
});
