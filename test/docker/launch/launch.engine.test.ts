import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, onTestFinished, test } from "vitest";
import { createDockerWriter } from "../../../docker/launch/writer.ts";
import type { LaunchClaims } from "../../../model/ports/compute.ts";
import { LABEL_RUN, containerNameOf } from "../../../model/run/names.ts";
import { textOf } from "../../../model/run/identity.ts";
import type { RunRecord } from "../../../model/run/run.ts";
import { eventually, stays } from "../../eventually.ts";
import { createFakeClaims } from "../../fakes/launch-claims.ts";
import { openFlakyEngine, type FlakyEngine } from "../flaky-engine.ts";
import { openDockerRig, type DockerRig } from "../rig.ts";

let rig: DockerRig;
beforeAll(async () => {
  rig = await openDockerRig();
});
afterAll(() => rig.close());

/** Claims of a worker that is suspended at one point until `resume` is called. */
function suspendedAt(point: "claim" | "before record" | "after record"): {
  claims: LaunchClaims;
  reached: Promise<void>;
  resume(): void;
} {
  const reached = Promise.withResolvers<void>();
  const resumed = Promise.withResolvers<void>();
  const pause = async (here: string): Promise<void> => {
    if (here !== point) return;
    reached.resolve();
    await resumed.promise;
  };
  const claims: LaunchClaims = {
    ...rig.claims,
    async claim(...args) {
      const claim = await rig.claims.claim(...args);
      await pause("claim");
      return claim;
    },
    async recordContainer(...args) {
      await pause("before record");
      const isRecorded = await rig.claims.recordContainer(...args);
      await pause("after record");
      return isRecorded;
    },
  };
  return { claims, reached: reached.promise, resume: () => resumed.resolve() };
}

const exited = (run: RunRecord): Promise<unknown> =>
  eventually(async () => (await rig.writer.observe(run, 0)).container.phase === "Exited");

const identity = ({ id, uid }: RunRecord) => ({ id, uid });

const POINTS = ["claim", "before record", "after record"] as const;

test.each(POINTS.flatMap((point) => [false, true].map((hasBuffers) => ({ point, hasBuffers }))))(
  "an attempt suspended at '$point' loses to the one that took over (buffers: $hasBuffers)",
  async ({ point, hasBuffers }) => {
    const run = rig.run({ hasBuffers, exitCode: 7 });
    const late = suspendedAt(point);
    const first = rig.writerWith(late.claims).launch(run, 0);
    await late.reached;
    await rig.writer.launch(run, 0);
    await exited(run);
    late.resume();
    expect((await first).container.exitCode).toBe(7);
    expect(rig.begins(run)).toBe(1);
    const ours = await rig.engine.list({ [LABEL_RUN]: String(run.id) });
    expect(ours.length).toBe(1);
    const folders = await readdir(join(rig.runsDir, textOf(run)));
    expect(folders.length).toBe(1);
  },
);

describe("a start that has not reached the engine yet", () => {
  let first: FlakyEngine;
  let second: FlakyEngine;
  beforeEach(async () => {
    [first, second] = [await openFlakyEngine(), await openFlakyEngine()];
  });
  afterEach(async () => {
    await Promise.all([first.close(), second.close()]);
  });

  test.each([false, true])("is refused once another attempt has taken over (buffers: %s)", async (hasBuffers) => {
    const run = rig.run({ hasBuffers, exitCode: 7 });
    const start = first.hold(/^POST \S*\/start/, "request");
    const late = rig.writerWith(rig.claims, first.dockerHost).launch(run, 0);
    await start.reached;
    // The worker that takes over has looked, and is about to remove what was not started.
    const removal = second.hold(/^DELETE /, "request");
    const taking = rig.writerWith(rig.claims, second.dockerHost).launch(run, 0);
    await removal.reached;
    start.release();
    // Long enough for the engine to start the job, if it did.
    await stays(() => rig.begins(run) === 0, { looks: 30, everyMs: 50 });
    removal.release();
    await Promise.all([late, taking]);
    await exited(run);
    expect(rig.begins(run)).toBe(1);
  });

  test("and arrives while a stop inspects the container is reported by the stop", async () => {
    const run = rig.run({ exitCode: 7 });
    const start = first.hold(/^POST \S*\/start/, "request");
    const late = rig.writerWith(rig.claims, first.dockerHost).launch(run, 0);
    await start.reached;
    const look = second.hold(/^GET \S*\/json/, "answer");
    const stopping = rig.writerWith(rig.claims, second.dockerHost).stop(run, 0);
    await look.reached;
    start.release();
    await exited(run);
    look.release();
    expect((await stopping).container).toMatchObject({ phase: "Exited", exitCode: 7 });
    await late;
    expect(rig.begins(run)).toBe(1);
  });
});

/** Matches what follows the first `count` requests. */
const after = (count: number): Pick<RegExp, "test"> => {
  let seen = 0;
  return { test: () => ++seen > count };
};

test.each([false, true])("whenever a second worker launches, one job is begun (buffers: %s)", async (hasBuffers) => {
  const engine = await openFlakyEngine();
  onTestFinished(() => engine.close());
  let steps = 0;
  // At each request that the first one sends to the engine, and after the last.
  for (let isOver = false; !isOver; steps++) {
    const run = rig.run({ hasBuffers });
    const step = engine.hold(after(steps), "request");
    const first = rig.writerWith(rig.claims, engine.dockerHost).launch(run, 0);
    isOver = await Promise.race([step.reached.then(() => false), first.then(() => true)]);
    const second = rig.anotherWriter().launch(run, 0);
    step.release();
    await Promise.all([first, second]);
    await exited(run);
    expect(rig.begins(run)).toBe(1);
    await rig.writer.remove(run);
  }
  expect(steps).toBeGreaterThan(3);
});

test("a name that stays taken for a moment, by a container that cannot be seen, only delays the launch", async () => {
  const engine = await openFlakyEngine();
  onTestFinished(() => engine.close());
  const run = rig.run({});
  const body = JSON.stringify({ message: "Conflict. The container name is already in use" });
  engine.answerInstead.push({ pattern: /^POST \S*\/containers\/create/, status: 409, body });
  const launching = rig.writerWith(rig.claims, engine.dockerHost).launch(run, 0);
  await eventually(() => engine.requests.filter((line) => line.includes("/containers/create")).length > 6);
  engine.answerInstead = [];
  expect((await launching).container.phase).toMatch(/^(Running|Exited)$/);
  await exited(run);
  expect(rig.begins(run)).toBe(1);
  await rig.writer.remove(run);
});

test.each(POINTS)("an attempt suspended at '%s' starts nothing after the run was stopped", async (point) => {
  const run = rig.run({});
  const late = suspendedAt(point);
  const first = rig.writerWith(late.claims).launch(run, 0);
  await late.reached;
  await rig.writer.stop(run, 0);
  late.resume();
  expect((await first).container.phase).toBe("Gone");
  expect(rig.begins(run)).toBe(0);
  await rig.writer.remove(run);
  expect(await rig.writer.survey()).not.toContainEqual(expect.objectContaining(identity(run)));
});

test("a launch that died after its start and before it was recorded is found", async () => {
  const run = rig.run({ hasBuffers: true, forMs: 500, exitCode: 2 });
  const dying: LaunchClaims = { ...rig.claims, recordLaunched: () => Promise.reject(new Error("the worker dies")) };
  await expect(rig.writerWith(dying).launch(run, 0)).rejects.toThrow("the worker dies");
  expect(await rig.writer.launch(run, 0)).toMatchObject({
    container: { phase: "Running" },
    pump: { phase: "Running" },
  });
  await exited(run);
  expect(rig.begins(run)).toBe(1);
  expect((await rig.claims.find(run, 0))?.state).toBe("launched");
});

test("a container that was started and then removed by another user is not started again", async () => {
  const run = rig.run({});
  const dying: LaunchClaims = { ...rig.claims, recordLaunched: () => Promise.reject(new Error("the worker dies")) };
  await expect(rig.writerWith(dying).launch(run, 0)).rejects.toThrow("the worker dies");
  await exited(run);
  await rig.engine.remove(containerNameOf(rig.installationId, run.id, 0), { force: true });
  expect((await rig.writer.launch(run, 0)).container.phase).toBe("Gone");
  expect(rig.begins(run)).toBe(1);
});

test("a container of ours that no claim knows is not executed a second time", async () => {
  const run = rig.run({ exitCode: 4 });
  await rig.writer.launch(run, 0);
  await exited(run);
  const afterRestore = createFakeClaims();
  expect((await rig.writerWith(afterRestore).launch(run, 0)).container.exitCode).toBe(4);
  expect(rig.begins(run)).toBe(1);
});

test("another user's container with the same name is neither adopted nor removed", async () => {
  const run = rig.run({});
  const name = containerNameOf(rig.installationId, run.id, 0);
  const foreign = await rig.engine.create(name, {
    Image: inject("testImage"),
    Labels: { [LABEL_RUN]: String(run.id) },
  });
  try {
    await expect(rig.writer.launch(run, 0)).rejects.toThrow(
      `The container name '${name}' is taken by a container that is not ours`,
    );
    await rig.writer.stop(run, 0);
    await rig.writer.remove(run);
    expect((await rig.engine.inspect(foreign))?.State.Status).toBe("created");
  } finally {
    await rig.engine.remove(foreign, { force: true });
  }
});

test("the container of another run with the same number is neither adopted, nor stopped, nor removed", async () => {
  const lost = rig.run({ forMs: 60_000, lines: ["from the lost run"] });
  await rig.writer.launch(lost, 0);
  const { uid: _older, ...older } = lost;
  for (const run of [{ ...lost, uid: "another" }, older]) {
    const writer = rig.writerWith(createFakeClaims());
    expect((await writer.observe(run, 0)).container.phase).toBe("Unknown");
    await writer.provision(run);
    await expect(writer.launch(run, 0)).rejects.toMatchObject({
      code: "LaunchFailed",
      message: `The container '${containerNameOf(rig.installationId, run.id, 0)}' belongs to another run with the number ${run.id}`,
    });
    for await (const batch of rig.reader.logs(run, {}, AbortSignal.timeout(10_000))) expect(batch).toEqual([]);
    await writer.stop(run, 0);
    await writer.remove(run);
  }
  expect((await rig.writer.observe(lost, 0)).container.phase).toBe("Running");
  expect(await readdir(rig.runsDir)).toContain(textOf(lost));
  expect(rig.begins(lost)).toBe(1);
  await rig.writer.remove(lost);
});

test("a run that is older than uids is recognized by its number and the container in its claim", async () => {
  const { uid: _uid, ...run } = rig.run({ hasBuffers: true, exitCode: 6 });
  await rig.writer.launch(run, 0);
  await exited(run);
  expect(await readdir(rig.runsDir)).toContain(String(run.id));
  expect((await rig.claims.find(run, 0))?.containerId).toBeDefined();
  expect((await rig.anotherWriter().launch(run, 0)).container.exitCode).toBe(6);
  expect(await rig.writer.survey()).toContainEqual({ id: run.id, containers: "Ended", started: 1 });
  await rig.writer.remove(run);
  expect(await rig.writer.survey()).not.toContainEqual(expect.objectContaining({ id: run.id }));
  expect(rig.begins(run)).toBe(1);
});

test("two installations on one engine do not see each other's runs", async () => {
  const other = await openDockerRig();
  try {
    const run = rig.run({ forMs: 60_000 });
    await rig.writer.launch(run, 0);
    expect((await other.writer.observe(run, 0)).container.phase).toBe("Unknown");
    await other.writer.stop(run, 0);
    await other.writer.remove(run);
    expect(await other.writer.survey()).toEqual([]);
    expect((await rig.writer.observe(run, 0)).container.phase).toBe("Running");
    await rig.writer.remove(run);
  } finally {
    await other.close();
  }
});

test("a missing image or a pump that does not start fails the launch with the reason", async () => {
  const gone = rig.shell("true", { image: "no-such-image:1" });
  await expect(rig.writer.launch(gone, 0)).rejects.toMatchObject({
    code: "LaunchFailed",
    message: "The image 'no-such-image:1' is no longer on the host of the engine",
  });
  const dies = rig.shell("true", { buffers: { outputs: ["dies"] } });
  await expect(rig.writer.launch(dies, 0)).rejects.toMatchObject({
    code: "LaunchFailed",
    message: "The process that streams the buffers did not start: it exited with 3: no such luck",
  });
  expect(rig.begins(dies)).toBe(0);
});

test("an unreachable engine is Unavailable, and the claim is kept for the next attempt", async () => {
  const run = rig.run({});
  const away = createDockerWriter({
    installationId: rig.installationId,
    claims: rig.claims,
    runsDir: rig.runsDir,
    placeOf: async () => ({ storeDir: "/nowhere" }),
    dataPlane: undefined,
    pumpCommand: { node: process.execPath, main: "" },
    dockerHost: "unix:///nowhere/docker.sock",
  });
  await expect(away.launch(run, 0)).rejects.toMatchObject({ code: "Unavailable" });
  await rig.writer.launch(run, 0);
  await exited(run);
  expect(rig.begins(run)).toBe(1);
});

test("the job finds its pipes, writable by any user, and no other file of ours", async () => {
  const run = rig.shell('stat -c "%A" "$OUT_PIPE"; ls /run/secrets/*; tr "\\0" "\\n" </proc/$$/environ | grep MY-IN', {
    buffers: { inputs: ["my-in"], outputs: ["out"] },
  });
  await rig.writer.launch(run, 0);
  let text = "";
  for await (const batch of rig.reader.logs(run, { follow: true }, AbortSignal.timeout(10_000))) {
    for (const { bytes } of batch) text += Buffer.from(bytes).toString();
  }
  expect(text).toBe(`[main] prwxrwxrwx\n[main] pipes\n[main] MY-IN_PIPE=/run/secrets/${run.id}/pipes/my-in.pipe\n`);
});

test("a claim without an attempt never touches the folder of the run", async () => {
  const run = rig.run({});
  await rig.claims.markRemoved(run, 0);
  await mkdir(join(rig.runsDir, textOf(run)));
  await rig.writer.stop(run, 0);
  expect(await readdir(rig.runsDir)).toContain(textOf(run));
});
