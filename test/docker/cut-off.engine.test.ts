import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFilesystemStore } from "../../buffers/filesystem/filesystem-store.ts";
import { storedBlobs } from "../../buffers/format/stored-blobs.ts";
import { writeBuffer } from "../../buffers/format/writer.ts";
import { isSettled, outcomeOf, type Outcome, type ReplicaState } from "../../model/run/lifecycle.ts";
import { deadlineOf, type RunRecord } from "../../model/run/run.ts";
import { eventually, stays } from "../eventually.ts";
import { hasFinalBlob } from "../pump/world.ts";
import { openDockerRig, type DockerRig } from "./rig.ts";

/** Jobs in real containers, their real pumps and the watcher, over a real store. */
let rig: DockerRig;
let store: ReturnType<typeof createFilesystemStore>;
let storeDir: string;
let watching: { stop(): Promise<void> };
const seen = new Map<number, ReplicaState>();

beforeAll(async () => {
  storeDir = await mkdtemp(join(tmpdir(), "tyger-store-"));
  store = createFilesystemStore(storeDir);
  rig = await openDockerRig(undefined, storeDir);
  watching = watch();
});
afterAll(async () => {
  await watching.stop();
  await rig.close();
  await rm(storeDir, { recursive: true, force: true });
});

function watch(): { stop(): Promise<void> } {
  const abort = new AbortController();
  const done = rig.watcher.watch(async (run, { state }) => void seen.set(run.id, state), abort.signal);
  return {
    stop: () => {
      abort.abort();
      return done;
    },
  };
}

/** Launches a job with the pipes `$IN_PIPE` and `$OUT_PIPE`. */
async function launch(script: string): Promise<RunRecord> {
  const run = rig.shell(script, { buffers: { inputs: ["in"], outputs: ["out"] } });
  await Promise.all(Object.values(run.job.buffers ?? {}).map((id) => store.provision(id)));
  await rig.writer.launch(run, 0);
  return run;
}

const bufferOf = (run: RunRecord, parameter: "in" | "out"): string => run.job.buffers?.[parameter] ?? "";
const out = (run: RunRecord): string => bufferOf(run, "out");

/** How the run ends, as its workflow would record it. */
async function endOf(run: RunRecord): Promise<Outcome> {
  const replica = await eventually(() => [seen.get(run.id)].find((state) => state && isSettled(state)), {
    withinMs: 30_000,
  });
  return outcomeOf({ replica, deadlineAt: deadlineOf(run), nowAt: new Date().toISOString() });
}

/** The output as its end mark says, and as a reader finds it that never looks there. */
async function outputOf(run: RunRecord): Promise<{ mark: string; hasFinalBlob: boolean }> {
  const mark = await buffer((await store.get(out(run), ".bufferend")).body);
  const { status } = JSON.parse(mark.toString()) as { status: string };
  return { mark: status, hasFinalBlob: await hasFinalBlob(store, out(run)) };
}
const FAILED = { mark: "failed", hasFinalBlob: false };
const COMPLETE = { mark: "complete", hasFinalBlob: true };

const docker = async (...args: string[]): Promise<void> => void (await promisify(execFile)("docker", args));
const containerOf = async (run: RunRecord): Promise<string> => (await rig.claims.find(run, 0))?.containerId ?? "";

const KILLED = {
  status: "Failed",
  statusReason: "Main exited with code 137: Killed (SIGKILL): by a user, or because memory ran out",
};
/** From the shell itself, from a child, from several processes, and not yet. */
const WRITERS = [
  'exec 3> "$OUT_PIPE"; while echo line >&3; do sleep 0.01; done',
  '(while echo line; do sleep 0.01; done) > "$OUT_PIPE"',
  'exec 3> "$OUT_PIPE"; while echo line; do sleep 0.01; done >&3 & head -c 1000 /dev/zero >&3; exec 3>&-; wait',
  "sleep 60",
];

test("50 jobs that are killed at random moments of their output leave it failed", { timeout: 120_000 }, async () => {
  const ends: object[] = [];
  const playOne = async (writer: string): Promise<void> => {
    const run = await launch(writer);
    await stays(async () => !(await hasFinalBlob(store, out(run))), { looks: Math.random() * 30 });
    await docker("kill", await containerOf(run));
    ends.push({ writer, ...(await endOf(run)), ...(await outputOf(run)) });
  };
  const writers = Array.from({ length: 50 }, (_, round) => WRITERS[round % WRITERS.length] ?? "");
  const lane = async (): Promise<void> => {
    for (let writer = writers.pop(); writer !== undefined; writer = writers.pop()) await playOne(writer);
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
  expect(ends).toEqual(Array.from({ length: 50 }, () => expect.objectContaining({ ...KILLED, ...FAILED })));
});

test("a job that is killed about when its ended output is completed leaves it whole or failed, never both", async () => {
  const playOne = async (afterMs: number): Promise<void> => {
    const run = await launch('echo part > "$OUT_PIPE"; sleep 60');
    await stays(() => seen.get(run.id)?.container.phase !== "Exited", { looks: afterMs / 10 });
    await docker("kill", await containerOf(run));
    expect(await endOf(run)).toMatchObject(KILLED);
    expect([FAILED, COMPLETE]).toContainEqual(await outputOf(run));
  };
  await Promise.all([0, 500, 800, 900, 1000, 1050, 1100, 1200].map(playOne));
});

describe("a job that exits by itself after a part of its output", () => {
  test.each([129, 137, 139, 143, 159])("with %i is taken for one that was cut off", async (exitCode) => {
    const run = await launch(`echo part > "$OUT_PIPE"; exit ${exitCode}`);
    expect(await endOf(run)).toMatchObject({
      status: "Failed",
      statusReason: expect.stringMatching(`^Main exited with code ${exitCode}`),
    });
    expect(await outputOf(run)).toEqual(FAILED);
  });

  test.each([0, 1, 3, 128, 160, 255])("with %i leaves that part complete", async (exitCode) => {
    const run = await launch(`echo part > "$OUT_PIPE"; exit ${exitCode}`);
    expect(await endOf(run)).toMatchObject(
      exitCode === 0
        ? { status: "Succeeded" }
        : { status: "Failed", statusReason: `Main exited with code ${exitCode}` },
    );
    expect(await outputOf(run)).toEqual(COMPLETE);
    expect((await buffer((await store.get(out(run), "00/000")).body)).toString()).toBe("part\n");
  });
});

describe("a job that runs out of memory leaves its output failed,", () => {
  const OUT_OF_MEMORY = "The container ran out of memory (OOMKilled)";
  test.each([
    ["which ends it", "x=x; while true; do x=$x$x; done", `Main exited with code 137: ${OUT_OF_MEMORY}`],
    ["even if it exits with 0", "(x=x; while true; do x=$x$x; done); exit 0", OUT_OF_MEMORY],
    [
      "even if it exits with 3",
      "(x=x; while true; do x=$x$x; done); exit 3",
      `Main exited with code 3: ${OUT_OF_MEMORY}`,
    ],
  ])("%s", async (_name, script, statusReason) => {
    const run = await launch(`exec 3> "$OUT_PIPE"; echo part >&3; read -r go < "$IN_PIPE"; ${script}`);
    await docker("update", "--memory", "16m", "--memory-swap", "16m", await containerOf(run));
    await writeBuffer(Readable.from([Buffer.from("go\n")]), storedBlobs(store, bufferOf(run, "in")));
    expect(await endOf(run)).toMatchObject({ status: "Failed", statusReason });
    expect(await outputOf(run)).toEqual(FAILED);
  });
});

describe("the reader of an output that the job has ended", () => {
  const isComplete = (run: RunRecord) => eventually(async () => (await outputOf(run)).mark === "complete");

  test("ends while the job runs on", async () => {
    const run = await launch('echo all > "$OUT_PIPE"; sleep 60');
    await eventually(() => hasFinalBlob(store, out(run)));
    await isComplete(run);
    expect(seen.get(run.id)).toMatchObject({ container: { phase: "Running" }, pump: { phase: "Running" } });
    // Its job can be cut off from now on.
    await docker("kill", await containerOf(run));
    expect(await endOf(run)).toMatchObject(KILLED);
    expect(await outputOf(run)).toEqual(COMPLETE);
  });

  test("waits while no worker is there, and ends with the first look of the next one", async () => {
    await watching.stop();
    const run = await launch('echo all > "$OUT_PIPE"; sleep 60');
    await eventually(() => store.head(out(run), "00/000"));
    await stays(async () => !(await hasFinalBlob(store, out(run))), { looks: 40, everyMs: 50 });
    watching = watch();
    await isComplete(run);
    expect((await rig.writer.observe(run, 0)).container.phase).toBe("Running");
    await rig.writer.stop(run, 0);
    expect(await outputOf(run)).toEqual(COMPLETE);
  });
});

test("a job that we stop leaves its output failed, however it exits", async () => {
  const run = await launch(`trap 'exit 0' TERM; echo part > "$OUT_PIPE"; sleep 60 & wait`);
  await eventually(() => store.head(out(run), "00/000"));
  expect(await rig.writer.stop(run, 0)).toMatchObject({
    container: { phase: "Exited", exitCode: 0 },
    pump: { phase: "Failed", cutOff: true },
  });
  expect(await outputOf(run)).toEqual(FAILED);
});
