import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { createDockerWatcher } from "../../docker/watcher.ts";
import { hasEnded, needsStop, type ReplicaState } from "../../model/run/lifecycle.ts";
import { containerNameOf, LABEL_INSTALLATION, LABEL_RUN, LABEL_RUN_UID } from "../../model/run/names.ts";
import { textOf } from "../../model/run/identity.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { eventually } from "../eventually.ts";
import { openDockerRig, type DockerRig } from "./rig.ts";

let rig: DockerRig;
const heard: { runId: number; state: ReplicaState }[] = [];
const stopWatching = new AbortController();
let watching: Promise<void>;

beforeAll(async () => {
  rig = await openDockerRig();
  watching = rig.watcher.watch(async (run, { state }) => {
    heard.push({ runId: run.id, state });
  }, stopWatching.signal);
});
afterAll(async () => {
  stopWatching.abort();
  await watching;
  await rig.close();
});

const statesOf = (run: RunRecord): ReplicaState[] =>
  heard.filter(({ runId }) => runId === run.id).map(({ state }) => state);
/** Well before the watcher lists everything again. */
const heardOf = (run: RunRecord, wanted: (state: ReplicaState) => boolean, bound = {}): Promise<ReplicaState> =>
  eventually(() => statesOf(run).find(wanted), bound);
/** A container is gone when the engine has not found it twice, 10 s apart. */
const GONE = { withinMs: 20_000 };

/** The process id of the pump of a run: the one that works in its folder. */
function pumpOf(run: RunRecord): number {
  const folder = join(rig.runsDir, textOf(run));
  const pids = readdirSync("/proc").filter((name) => {
    try {
      return /^[0-9]+$/.test(name) && readlinkSync(`/proc/${name}/cwd`).startsWith(folder);
    } catch {
      return false;
    }
  });
  expect(pids.length).toBe(1);
  return Number(pids[0]);
}

test("a pump that is killed while its job runs is reported as dead at once", async () => {
  const run = rig.run({ hasBuffers: true, forMs: 60_000 });
  await rig.writer.launch(run, 0);
  await heardOf(run, ({ pump }) => pump?.phase === "Running");
  process.kill(pumpOf(run), "SIGKILL");
  const state = await heardOf(run, ({ pump }) => pump?.phase === "Dead");
  expect(needsStop(state)).toBe(true);
  expect(await rig.writer.observe(run, 0)).toMatchObject({ container: { phase: "Running" }, pump: { phase: "Dead" } });
  expect(await rig.writer.stop(run, 0)).toMatchObject({ container: { phase: "Exited" }, pump: { phase: "Dead" } });
});

test("a pump that fails while its job runs is reported before the job ends", async () => {
  const run = rig.shell("sleep 60", { buffers: { outputs: ["fails"] } });
  await rig.writer.launch(run, 0);
  const state = await heardOf(run, ({ pump }) => pump?.phase === "Failed");
  expect(state).toMatchObject({ container: { phase: "Running" }, pump: { message: "The input broke" } });
  expect(await rig.writer.stop(run, 0)).toMatchObject({ pump: { phase: "Failed", message: "The input broke" } });
});

test("an ended job is settled only when its pump reports its result", async () => {
  const run = rig.shell("true", { buffers: { outputs: ["deaf"] } });
  await rig.writer.launch(run, 0);
  await heardOf(run, ({ container }) => container.phase === "Exited");
  expect(statesOf(run).every(({ pump }) => pump?.phase === "Running")).toBe(true);
  process.kill(pumpOf(run), "SIGKILL");
  await heardOf(run, ({ pump }) => pump?.phase === "Dead");
});

test.each(["sleep 60", "true"])("a pump that does not end is not waited for forever (%s)", async (script) => {
  const run = rig.shell(script, { buffers: { outputs: ["deaf"] } });
  await rig.writer.launch(run, 0);
  if (script === "true") await heardOf(run, ({ container }) => container.phase === "Exited");
  expect((await rig.writer.stop(run, 0)).pump).toMatchObject({
    phase: "Failed",
    message: expect.stringMatching(/in time/),
    cutOff: true,
  });
  process.kill(pumpOf(run), "SIGKILL");
});

test("a stop ends a pump at once that still stores what its job wrote", async () => {
  const run = rig.shell("true", { buffers: { outputs: ["slower"] } });
  await rig.writer.launch(run, 0);
  await heardOf(run, ({ container }) => container.phase === "Exited");
  expect(await rig.writer.stop(run, 0)).toMatchObject({
    container: { phase: "Exited", exitCode: 0 },
    pump: { phase: "Failed", cutOff: true },
  });
});

test("a pump that has only not learned that its job ended completes the outputs, also when it is stopped", async () => {
  const other = await openDockerRig();
  try {
    // No watcher runs.
    const run = other.shell("true", { buffers: { outputs: ["out"] } });
    await other.writer.launch(run, 0);
    await eventually(async () => (await other.writer.observe(run, 0)).container.phase === "Exited");
    expect(await other.writer.stop(run, 0)).toMatchObject({ container: { exitCode: 0 }, pump: { phase: "Succeeded" } });
  } finally {
    await other.close();
  }
});

test("a pump gets the stop before it learns that the job has ended, however busy it is", async () => {
  const run = rig.shell("trap 'exit 0' TERM; sleep 60 & wait", { buffers: { outputs: ["out"] } });
  await rig.writer.launch(run, 0);
  await heardOf(run, ({ pump }) => pump?.phase === "Running");
  const pump = pumpOf(run);
  process.kill(pump, "SIGSTOP");
  const stopping = rig.writer.stop(run, 0);
  const isDown = async (): Promise<boolean> =>
    (await rig.engine.inspect(containerNameOf(rig.installationId, run.id, 0)))?.State.Running === false;
  await eventually(isDown, { withinMs: 600 }).catch(() => undefined);
  process.kill(pump, "SIGCONT");
  expect(await stopping).toMatchObject({ container: { phase: "Exited" }, pump: { phase: "Failed" } });
});

test("a container that is removed while it runs is reported as gone", async () => {
  const run = rig.run({ hasBuffers: true, forMs: 60_000 });
  await rig.writer.launch(run, 0);
  await heardOf(run, ({ container }) => container.phase === "Running");
  await rig.engine.remove(containerNameOf(rig.installationId, run.id, 0), { force: true });
  const { container } = await heardOf(run, ({ container }) => hasEnded(container), GONE);
  expect(container.phase === "Gone" || container.exitCode === 137).toBe(true);
});

test("a container that is removed after its end leaves its pump the time to complete the outputs", async () => {
  const run = rig.shell("true", { buffers: { outputs: ["slow"] } });
  await rig.writer.launch(run, 0);
  await heardOf(run, ({ container }) => container.phase === "Exited");
  await rig.engine.remove(containerNameOf(rig.installationId, run.id, 0), { force: true });
  const ended = await heardOf(run, ({ pump }) => pump?.phase !== "Running");
  expect(ended).toMatchObject({ container: { phase: "Exited", exitCode: 0 }, pump: { phase: "Succeeded" } });
});

test("a container that disappeared while no watcher ran is reported as gone by the next one", async () => {
  const run = rig.run({ hasBuffers: true, forMs: 60_000 });
  const other = await openDockerRig();
  try {
    await other.writer.launch(run, 0);
    await other.engine.remove(containerNameOf(other.installationId, run.id, 0), { force: true });
    const states: ReplicaState[] = [];
    const stop = new AbortController();
    const done = other.watcher.watch(async (_, { state }) => void states.push(state), stop.signal);
    await eventually(() => states.some(({ pump }) => pump?.phase === "Failed"), GONE);
    stop.abort();
    await done;
    expect(states.every(({ container }) => container.phase === "Gone")).toBe(true);
  } finally {
    await other.close();
  }
});

test("the removal of an ended run is not reported", async () => {
  const run = rig.run({});
  await rig.writer.launch(run, 0);
  await heardOf(run, ({ container }) => container.phase === "Exited");
  await rig.writer.remove(run);
  await heardOf(run, () => true);
  expect(statesOf(run).some(({ container }) => container.phase === "Gone")).toBe(false);
});

test("each exit is reported by the engine's own event, long before the next listing", async () => {
  for (let i = 0; i < 5; i++) {
    const run = rig.run({ forMs: 50 });
    await rig.writer.launch(run, 0);
    expect(await heardOf(run, ({ container }) => container.phase === "Exited")).toMatchObject({
      container: { exitCode: 0, finishedAt: expect.any(String) },
    });
  }
});

test("an out-of-memory kill is named as the reason", async () => {
  const run = rig.run({});
  const id = await rig.engine.create(containerNameOf(rig.installationId, run.id, 0), {
    Image: inject("testImage"),
    Entrypoint: ["bash", "-c", "x=x; while true; do x=$x$x; done"],
    Labels: { [LABEL_INSTALLATION]: rig.installationId, [LABEL_RUN]: String(run.id), [LABEL_RUN_UID]: run.uid ?? "" },
    HostConfig: { Memory: 16 * 1024 * 1024 },
  });
  await rig.engine.start(id);
  const { container } = await heardOf(run, ({ container }) => container.phase === "Exited");
  expect(container).toMatchObject({ exitCode: 137, message: "The container ran out of memory (OOMKilled)" });
});

test("a watcher without an engine keeps trying until it is told to stop", async () => {
  const away = createDockerWatcher({
    installationId: rig.installationId,
    claims: rig.claims,
    runsDir: rig.runsDir,
    dockerHost: "unix:///nowhere/docker.sock",
    log: { warn() {} },
  });
  const stop = AbortSignal.timeout(500);
  await expect(away.watch(async () => undefined, stop)).resolves.toBeUndefined();
});

test("the pump gets no part of our environment and outlives us in its own session", async () => {
  const run = rig.run({ hasBuffers: true, forMs: 60_000 });
  await rig.writer.launch(run, 0);
  const pid = pumpOf(run);
  expect(await readFile(`/proc/${pid}/environ`, "utf8")).toBe("");
  const [, session] = /^\d+ \(.*\) \S \d+ \d+ (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
  expect(session).toBe(String(pid));
  await rig.writer.stop(run, 0);
  await eventually(() => !readdirSync("/proc").includes(String(pid)));
});
