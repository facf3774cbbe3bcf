import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import { containerNameOf } from "../../model/run/names.ts";
import { eventually } from "../eventually.ts";
import { openFlakyEngine, type FlakyEngine } from "./flaky-engine.ts";
import { openDockerRig, type DockerRig } from "./rig.ts";
import { startStarved } from "../starved.ts";

let flaky: FlakyEngine;
let rig: DockerRig;
const seen = new Map<number, ReplicaState>();
const stopWatching = new AbortController();
let watching: Promise<void>;

beforeAll(async () => {
  flaky = await openFlakyEngine();
  rig = await openDockerRig(flaky.dockerHost);
  watching = rig.watcher.watch(async (run, state) => void seen.set(run.id, state), stopWatching.signal);
});
afterEach(() => {
  flaky.isDown = false;
  flaky.loseAnswersTo = [];
});
afterAll(async () => {
  stopWatching.abort();
  await watching;
  await rig.close();
  await flaky.close();
});

test.each(["/containers/create", "/start", "/json"])(
  "a launch that loses the answer to %s begins one job",
  async (path) => {
    for (const hasBuffers of [false, true]) {
      const run = rig.run({ hasBuffers, exitCode: 3 });
      flaky.loseAnswersTo = [new RegExp(`^[A-Z]+ [^ ]*${path}`)];
      await eventually(() => rig.writer.launch(run));
      await eventually(() => seen.get(run.id)?.container.exitCode === 3);
      expect(rig.begins(run)).toBe(1);
      expect(flaky.loseAnswersTo).toEqual([]);
    }
  },
);

test.each(["/stop", "/json"])("a stop that loses the answer to %s may be repeated", async (path) => {
  const run = rig.run({ hasBuffers: true, forMs: 60_000 });
  await rig.writer.launch(run);
  flaky.loseAnswersTo = [new RegExp(`^[A-Z]+ [^ ]*${path}`)];
  const state = await eventually(() => rig.writer.stop(run));
  expect(state).toMatchObject({ container: { phase: "Exited" }, pump: { phase: "Failed" } });
});

test("a job that ends while the engine is unreachable is reported when the engine is back", async () => {
  const run = rig.run({ hasBuffers: true, forMs: 300, exitCode: 9 });
  await rig.writer.launch(run);
  flaky.isDown = true;
  flaky.cut();
  await eventually(
    async () => (await rig.engine.inspect(containerNameOf(rig.installationId, run.id)))?.State.Running === false,
  );
  flaky.isDown = false;
  const state = await eventually(() => {
    const state = seen.get(run.id);
    return state?.container.phase === "Exited" && state.pump?.phase === "Succeeded" ? state : undefined;
  });
  expect(state.container.exitCode).toBe(9);
});

test("a watcher that is out of descriptors knows nothing about a healthy pump, and asks it again", async () => {
  interface Said {
    runId?: number;
    container?: string;
    pump?: string;
    message?: string;
  }
  const healthy = await openDockerRig();
  const watcher = startStarved<Said>("docker/starved-watcher.ts", [healthy.installationId, healthy.runsDir]);
  try {
    const [first, second] = [0, 1].map(() => healthy.run({ hasBuffers: true, forMs: 60_000 }));
    await healthy.writer.launch(first!);
    await eventually(() => watcher.said.some(({ runId, pump }) => runId === first!.id && pump === "Running"));
    // One is enough to inspect a container, and too few to ask a pump.
    await watcher.hog(1);
    await healthy.writer.launch(second!);
    await eventually(() => watcher.said.some(({ runId, message }) => runId === second!.id && message !== undefined));
    await watcher.free();
    await eventually(() => watcher.said.some(({ runId, pump }) => runId === second!.id && pump === "Running"));
    expect(watcher.said.filter(({ pump }) => pump !== undefined && pump !== "Running")).toEqual([]);
  } finally {
    await watcher.end();
    await healthy.close();
  }
});

test("a followed log that is cut continues where it was: no line is repeated or left out", async () => {
  const run = rig.shell("for i in $(seq 4000); do echo $i; test $((i % 100)) = 0 && sleep 0.1; done; printf end");
  await rig.writer.launch(run);
  /** Every second time the engine also refuses the first attempt to connect again. */
  const cut = (isDown: boolean): void => {
    flaky.isDown = isDown;
    const { refusals } = flaky;
    flaky.cut();
    if (isDown) void eventually(() => flaky.refusals > refusals).finally(() => (flaky.isDown = false));
  };
  let text = "";
  let cuts = 0;
  for await (const batch of rig.reader.logs(run, { follow: true }, AbortSignal.timeout(20_000))) {
    for (const { bytes } of batch) text += Buffer.from(bytes).toString();
    if (cuts < 6) cut(cuts++ % 2 === 0);
  }
  expect(cuts).toBe(6);
  expect(text).toBe(`${Array.from({ length: 4000 }, (_, i) => i + 1).join("\n")}\nend`);
});

test("a broken log that is not followed is an error, not a short log", async () => {
  const run = rig.shell("yes $(head -c 2000 /dev/zero | tr '\\0' x) | head -n 20000");
  await rig.writer.launch(run);
  await eventually(() => seen.get(run.id)?.container.phase === "Exited");
  await expect(async () => {
    for await (const _ of rig.reader.logs(run, {}, AbortSignal.timeout(20_000))) flaky.cut();
  }).rejects.toMatchObject({ code: "Unavailable" });
});
