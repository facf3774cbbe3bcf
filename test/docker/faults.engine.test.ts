import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import { containerNameOf } from "../../model/run/names.ts";
import type { LogQuery } from "../../model/ports/log.ts";
import type { RunRecord } from "../../model/run/run.ts";
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
  watching = rig.watcher.watch(async (run, { state }) => void seen.set(run.id, state), stopWatching.signal);
});
afterEach(() => {
  flaky.isDown = false;
  flaky.loseAnswersTo = [];
  flaky.answerInstead = [];
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
      await eventually(() => rig.writer.launch(run, 0));
      await eventually(() => seen.get(run.id)?.container.exitCode === 3);
      expect(rig.begins(run)).toBe(1);
      expect(flaky.loseAnswersTo).toEqual([]);
    }
  },
);

test.each(["/stop", "/json"])("a stop that loses the answer to %s may be repeated", async (path) => {
  const run = rig.run({ hasBuffers: true, forMs: 60_000 });
  await rig.writer.launch(run, 0);
  flaky.loseAnswersTo = [new RegExp(`^[A-Z]+ [^ ]*${path}`)];
  const state = await eventually(() => rig.writer.stop(run, 0));
  expect(state).toMatchObject({ container: { phase: "Exited" }, pump: { phase: "Failed" } });
});

test("a job that ends while the engine is unreachable is reported when the engine is back", async () => {
  const run = rig.run({ hasBuffers: true, forMs: 300, exitCode: 9 });
  await rig.writer.launch(run, 0);
  flaky.isDown = true;
  flaky.cut();
  await eventually(
    async () => (await rig.engine.inspect(containerNameOf(rig.installationId, run.id, 0)))?.State.Running === false,
  );
  flaky.isDown = false;
  const state = await eventually(() => {
    const state = seen.get(run.id);
    return state?.container.phase === "Exited" && state.pump?.phase === "Succeeded" ? state : undefined;
  });
  expect(state.container.exitCode).toBe(9);
});

/** As an engine that does not know its containers answers, and as a proxy does. */
const UNTRUE = [
  ["an engine that does not know its containers", '{"message":"No such container: x"}'],
  ["a proxy", "<h1>Not Found</h1>"],
] as const;

describe.each(UNTRUE)("a 404 of %s", (_name, body) => {
  const deny = async (run: RunRecord): Promise<{ inspections: () => number }> => {
    const { containerId } = (await rig.claims.find(run, 0)) ?? {};
    const pattern = new RegExp(`^GET /containers/${containerId}/json`);
    flaky.answerInstead = [{ pattern, status: 404, body }];
    const from = flaky.requests.length;
    return { inspections: () => flaky.requests.slice(from).filter((line) => pattern.test(line)).length };
  };
  const allow = (): void => {
    flaky.answerInstead = [];
  };

  test("does not end the run of a container that is there", async () => {
    const run = rig.run({ hasBuffers: true, forMs: 60_000 });
    await rig.writer.launch(run, 0);
    await eventually(() => seen.get(run.id)?.pump?.phase === "Running");
    const { inspections } = await deny(run);
    // The watcher lists everything again.
    flaky.cut();
    await eventually(() => inspections() > 0);
    allow();
    const before = inspections();
    await eventually(() => inspections() > before, { withinMs: 20_000 });
    expect(seen.get(run.id)).toMatchObject({ container: { phase: "Running" }, pump: { phase: "Running" } });
    await rig.writer.stop(run, 0);
  });

  test("does not keep a stop from ending the job and its pump", async () => {
    const run = rig.run({ hasBuffers: true, forMs: 60_000 });
    await rig.writer.launch(run, 0);
    const { inspections } = await deny(run);
    const stopping = eventually(() => rig.writer.stop(run, 0), { withinMs: 20_000 });
    await eventually(() => inspections() > 2);
    allow();
    expect(await stopping).toMatchObject({ container: { phase: "Exited" }, pump: { phase: "Failed" } });
  });

  test("is not what an observation reports", async () => {
    const run = rig.run({ hasBuffers: true, forMs: 60_000 });
    await rig.writer.launch(run, 0);
    const { inspections } = await deny(run);
    const observing = eventually(() => rig.writer.observe(run, 0), { withinMs: 20_000 });
    await eventually(() => inspections() > 0);
    allow();
    expect(await observing).toMatchObject({ container: { phase: "Running" }, pump: { phase: "Running" } });
    await rig.writer.stop(run, 0);
  });
});

test("a list that lacks a container says nothing about it", async () => {
  const run = rig.run({ hasBuffers: true, forMs: 60_000 });
  await rig.writer.launch(run, 0);
  await eventually(() => seen.get(run.id)?.pump?.phase === "Running");
  const lists = (): number => flaky.requests.filter((line) => line.startsWith("GET /containers/json")).length;
  flaky.answerInstead = [{ pattern: /^GET \/containers\/json/, status: 200, body: "[]" }];
  const before = lists();
  const looks = flaky.requests.length;
  flaky.cut();
  const { containerId = "" } = (await rig.claims.find(run, 0)) ?? {};
  await eventually(() => lists() > before && flaky.requests.slice(looks).some((line) => line.includes(containerId)));
  expect(seen.get(run.id)?.container.phase).toBe("Running");
  await rig.writer.stop(run, 0);
});

test("a container that is removed while the engine cannot be reached is gone when the engine has not found it twice", async () => {
  const run = rig.run({ hasBuffers: true, forMs: 60_000 });
  await rig.writer.launch(run, 0);
  await eventually(() => seen.get(run.id)?.pump?.phase === "Running");
  flaky.isDown = true;
  flaky.cut();
  await rig.engine.remove(containerNameOf(rig.installationId, run.id, 0), { force: true });
  const { containerId = "" } = (await rig.claims.find(run, 0)) ?? {};
  const reads = (): number => flaky.requests.filter((line) => line.includes(`${containerId}/json`)).length;
  const before = reads();
  flaky.isDown = false;
  await eventually(() => reads() > before);
  expect(seen.get(run.id)?.container.phase).toBe("Running");
  await eventually(() => seen.get(run.id)?.container.phase === "Gone", { withinMs: 20_000 });
  expect(reads()).toBeGreaterThanOrEqual(before + 2);
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
    await healthy.writer.launch(first!, 0);
    await eventually(() => watcher.said.some(({ runId, pump }) => runId === first!.id && pump === "Running"));
    // One is enough to inspect a container, and too few to ask a pump.
    await watcher.hog(1);
    await healthy.writer.launch(second!, 0);
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
  await rig.writer.launch(run, 0);
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

describe("a log that breaks off while it is archived", () => {
  const archived = async (breakOff: (run: RunRecord) => Promise<unknown>): Promise<string> => {
    const run = rig.shell("yes $(head -c 2000 /dev/zero | tr '\\0' x) | head -n 20000");
    await rig.writer.launch(run, 0);
    await eventually(() => seen.get(run.id)?.container.phase === "Exited");
    let text = "";
    const started = { ...run, startedAt: run.createdAt };
    for await (const batch of rig.reader.logs(started, { toArchive: true }, AbortSignal.timeout(60_000))) {
      if (text === "") await breakOff(run);
      text += Buffer.concat(batch.map(({ bytes }) => bytes)).toString();
    }
    return text;
  };

  test("is read again as long as its container is there", async () => {
    await expect(archived(async () => flaky.cut())).rejects.toMatchObject({ code: "Unavailable" });
  });

  test("is kept as far as it was read when its container is gone, and marked", async () => {
    const text = await archived(async (run) => {
      await rig.engine.remove(containerNameOf(rig.installationId, run.id, 0), { force: true });
      flaky.cut();
    });
    const lines = text.trimEnd().split("\n");
    expect(lines.at(-1)).toBe("[tyger] The container was removed while its log was archived: its end may be missing");
    expect(lines.length).toBeGreaterThan(10);
    expect(lines.length).toBeLessThan(20_000);
    expect(lines[0]).toMatch(/^x{2000}$/);
  });
});

test("a broken log that is not followed is an error, not a short log", async () => {
  const run = rig.shell("yes $(head -c 2000 /dev/zero | tr '\\0' x) | head -n 20000");
  await rig.writer.launch(run, 0);
  await eventually(() => seen.get(run.id)?.container.phase === "Exited");
  await expect(async () => {
    for await (const _ of rig.reader.logs(run, {}, AbortSignal.timeout(20_000))) flaky.cut();
  }).rejects.toMatchObject({ code: "Unavailable" });
});

describe("a log whose file the engine cannot read to its end", () => {
  const frame = (stream: number, text: string): string =>
    `${String.fromCharCode(stream, 0, 0, 0, 0, 0, 0, text.length)}${text}`;
  const FILE_IS_GONE = "Error grabbing logs: open x-json.log: no such file or directory";
  const run = async (): Promise<RunRecord> => {
    const started = rig.shell("echo one; echo two");
    await rig.writer.launch(started, 0);
    await eventually(() => seen.get(started.id)?.container.phase === "Exited");
    const body = frame(1, "2026-01-01T00:00:00.000000000Z one\n") + frame(3, `${FILE_IS_GONE}\n`);
    flaky.answerInstead = [{ pattern: /^GET .*\/logs\?/, status: 200, body }];
    return started;
  };
  const read = async (of: RunRecord, query: LogQuery): Promise<string> => {
    let text = "";
    for await (const batch of rig.reader.logs(of, query, AbortSignal.timeout(20_000)))
      text += Buffer.concat(batch.map(({ bytes }) => bytes)).toString();
    return text;
  };

  test("is an error, without a line in the engine's words", async () => {
    await expect(read(await run(), {})).rejects.toMatchObject({
      code: "Unavailable",
      message: `The Docker engine interrupted the log: ${FILE_IS_GONE}`,
    });
  });

  test("is archived as far as it goes, and marked, while its container is there", async () => {
    const started = await run();
    const text = await read({ ...started, startedAt: started.createdAt }, { toArchive: true });
    expect(text).toBe(`one\n[tyger] The container engine could not read the rest of this log: ${FILE_IS_GONE}\n`);
  });
});
