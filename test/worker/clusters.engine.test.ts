import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, inject, onTestFinished, test } from "vitest";
import { createFilesystemStore } from "../../buffers/filesystem/filesystem-store.ts";
import { createFolderObjects } from "../../buffers/filesystem/folder-objects.ts";
import { createLog } from "../../config/log.ts";
import { readWorkerConfig } from "../../config/server.ts";
import { openDatabase } from "../../db/database.ts";
import { createLogArchive } from "../../logs/archive.ts";
import type { Database } from "../../model/ports/database.ts";
import type { RunWorkflows } from "../../model/ports/workflows.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { createRunWorkflows } from "../../temporal/run-workflows.ts";
import { serveRuns } from "../../worker/serve.ts";
import { clientOf, newRun, openFresh } from "../db/fixture.ts";
import { eventually } from "../eventually.ts";
import { createFakeCompute } from "../fakes/compute.ts";
import { logsIn } from "../fakes/locations.ts";
import { openTemporalRig, type TemporalRig } from "../temporal-rig.ts";

const WORKFLOWS = resolve(import.meta.dirname, "../../dist/workflows.js");
const HOUR_MS = 3_600_000;
const LONG = { withinMs: 40_000 };

let temporal: TemporalRig;
let url: string;
let database: Database;
let workflows: RunWorkflows;
beforeAll(async () => {
  temporal = await openTemporalRig();
});
afterAll(() => temporal?.close());
beforeEach(async () => {
  ({ url, database } = await openFresh());
  workflows = createRunWorkflows(temporal.client, database.installationId);
});

/** A worker process of these clusters, over backends of its own, whose jobs take an hour. */
async function openWorker(names: string[], clusterNames = names) {
  const dir = await mkdtemp(join(tmpdir(), "tyger-worker-"));
  const config = readWorkerConfig({
    DATABASE_URL: url,
    TEMPORAL_ADDRESS: inject("temporalAddress"),
    TYGER_DATA_DIR: dir,
    TYGER_WORKFLOW_BUNDLE: WORKFLOWS,
    TYGER_PUMP_MAIN: "/none",
  });
  const db = await openDatabase(url);
  const computes = new Map(names.map((name) => [name, createFakeCompute(db.claims, { forMs: HOUR_MS })]));
  const log = createLog("silent", "test");
  const serving = await serveRuns(config, log, {
    db,
    store: createFilesystemStore(join(dir, "buffers")),
    archive: createLogArchive(logsIn(createFolderObjects(dir))),
    clusters: [...computes].map(([name, { writer, reader, watcher }]) => ({
      name,
      maxLiveRuns: 1,
      writer,
      logs: reader,
      watcher,
    })),
    clusterNames,
  });
  const stop = async (): Promise<void> => {
    serving.stop();
    await serving.ended;
  };
  onTestFinished(async () => {
    await stop();
    await rm(dir, { recursive: true, force: true });
  });
  return {
    dir,
    begunIn: (name: string): number[] => [...(computes.get(name)?.begins.keys() ?? [])],
    end: (name: string, { id }: RunRecord) => computes.get(name)?.kill(id, 0),
    stop,
  };
}

const createdIn = async (cluster: string): Promise<RunRecord> => (await database.runs.create(newRun({ cluster }))).run;
const statusOf = async ({ id }: RunRecord): Promise<string | undefined> => (await database.runs.find(id))?.status;

test("one process executes the runs of several clusters, each in its own slots", async () => {
  const worker = await openWorker(["a", "b"]);
  const [first, second, other] = [await createdIn("a"), await createdIn("a"), await createdIn("b")];
  for (const run of [first, second, other]) {
    await workflows.start(run);
    await database.runs.recordWorkflowStarted(run.id);
  }
  const running = async () => [await statusOf(first), await statusOf(other)];
  await eventually(async () => (await running()).every((status) => status === "Running"), LONG);
  expect([worker.begunIn("a"), worker.begunIn("b")]).toEqual([[first.id], [other.id]]);
  expect(await statusOf(second)).toBe("Pending");
  worker.end("b", other);
  await eventually(async () => (await statusOf(other)) === "Succeeded", LONG);
  expect(await statusOf(second)).toBe("Pending");
  worker.end("a", first);
  await eventually(async () => (await statusOf(second)) === "Running", LONG);
  expect(worker.begunIn("b")).toEqual([other.id]);
  expect((await readFile(join(worker.dir, "state/installation"), "utf8")).trim()).toBe(database.installationId);
  worker.end("a", second);
});

test("a worker leaves the runs of a cluster that it does not serve to the next one, which starts them", async () => {
  const [there, here] = [await createdIn("b"), await createdIn("a")];
  const worker = await openWorker(["a"], ["a", "b"]);
  // Its reconciler has started the workflow of this one, and would have started that of the older one before it.
  await eventually(async () => (await statusOf(here)) === "Running", LONG);
  expect(await workflows.phaseOf(there)).toBe("Gone");
  await worker.stop();
  const next = await openWorker(["b"], ["a", "b"]);
  await eventually(async () => (await statusOf(there)) === "Running", LONG);
  expect(next.begunIn("b")).toEqual([there.id]);
  expect(await statusOf(here)).toBe("Running");
});

test("a run of a cluster that is not in the configuration ends by its cancel, and its stop stays owed", async () => {
  const run = await createdIn("b");
  await workflows.start(run);
  await database.runs.recordWorkflowStarted(run.id);
  await database.runs.requestCancel(run.id);
  const client = clientOf(url);
  const age = (hours: number) =>
    client.unsafe(`update runs set cancel_requested_at = cancel_requested_at - interval '${hours} hours'`);
  await age(1);
  const worker = await openWorker(["a"]);
  const why = "The cluster 'b' of the run is not in the configuration of the server";
  await eventually(async () => (await database.runs.find(run.id))?.statusReason !== undefined, LONG);
  expect(await database.runs.find(run.id)).toMatchObject({
    status: "Canceling",
    statusReason: `Waiting to stop the container: ${why}`,
  });
  await age(24);
  await eventually(async () => (await statusOf(run)) === "Failed", LONG);
  expect(await database.runs.find(run.id)).toMatchObject({
    statusReason: `The container could not be stopped for 24 hours: ${why}`,
  });
  await worker.stop();
  await openWorker(["b"], ["a", "b"]);
  await eventually(async () => (await database.runs.find(run.id))?.archivedAt !== undefined, LONG);
  expect(await workflows.phaseOf(run)).not.toBe("Open");
});
