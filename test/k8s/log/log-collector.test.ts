import { afterEach, beforeEach, expect, test } from "vitest";
import { createLogCollector, type LogCollector } from "../../../k8s/log/log-collector.ts";
import { lostMark } from "../../../k8s/log/log-marks.ts";
import type { LogPace } from "../../../k8s/log/log-plan.ts";
import { createKubeReader } from "../../../k8s/log/reader.ts";
import { streamOf } from "../../../k8s/log/stored-log.ts";
import { POD_DEFAULTS } from "../../../k8s/spec/cluster-settings.ts";
import { jobPodOf } from "../../../k8s/spec/job-pod.ts";
import type { Pod } from "../../../k8s/spec/wire.ts";
import type { LogParts } from "../../../model/ports/log-parts.ts";
import { eventually, stays } from "../../eventually.ts";
import { logPartsInMemory } from "../../fakes/log-parts.ts";
import { startFakeKube, type FakeKube } from "../fake-kube.ts";
import { runOf } from "../runs.ts";
import { withMain } from "../spec/pods.ts";
import { FakeNodeLog } from "./fake-node-log.ts";

const SETTINGS = { ...POD_DEFAULTS, installationId: "inst", namespace: "jobs" };
const RUN = runOf({});
const STREAM = streamOf(0, "main");
/** Looks in a few milliseconds; nothing is stored by its age. */
const QUICK: Partial<LogPace> = { firstLookMs: 0, lookMs: 100, partBytes: 1000, followBytes: 1e9 };

let fake: FakeKube;
let node: FakeNodeLog;
let parts: LogParts;
let stop: AbortController;
let running: Promise<void>[];
let told: string[];

const podOf = (state: Parameters<typeof withMain>[0]): Pod => {
  const { metadata, ...pod } = jobPodOf(RUN, 0, SETTINGS, Date.now());
  return { ...pod, metadata: { ...metadata, uid: "u" }, status: withMain(state) };
};
const startedAt = new Date().toISOString();
const RUNNING = podOf({ running: { startedAt } });
const ENDED = podOf({ terminated: { exitCode: 0, startedAt, finishedAt: startedAt } });

beforeEach(async () => {
  fake = await startFakeKube();
  node = new FakeNodeLog();
  fake.intercept = (req, res) => node.answer(req, res);
  fake.change(RUNNING);
  parts = logPartsInMemory();
  stop = new AbortController();
  running = [];
  told = [];
});
afterEach(async () => {
  stop.abort();
  await Promise.all(running);
  await fake.close();
});

function collect(pace: Partial<LogPace> = {}, into: LogParts = parts, signal = stop.signal): LogCollector {
  const log = {
    warn: (_: object, text: string) => void told.push(text),
    info: (_: object, text: string) => void told.push(text),
  };
  const collector = createLogCollector({ kube: fake.kube, parts: into, log, pace: { ...QUICK, ...pace } });
  collector.see(RUNNING);
  running.push(collector.run(signal));
  return collector;
}

async function stored(): Promise<string[]> {
  const lines: string[] = [];
  for await (const part of parts.read(RUN, STREAM, {})) for (const { bytes } of part.lines) lines.push(textOf(bytes));
  return lines;
}
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString().trimEnd();
const linesTo = (last: number, from = 1): string[] =>
  Array.from({ length: last - from + 1 }, (_, index) => `line ${from + index}`);
const partCount = async (): Promise<number> => (await parts.last(RUN, STREAM))?.number ?? 0;

/** The log of the run as its readers see it. */
async function shown(query = {}): Promise<string[]> {
  const reader = createKubeReader({ kube: fake.kube, settings: SETTINGS, parts });
  const lines: string[] = [];
  for await (const batch of reader.logs(RUN, query, AbortSignal.timeout(15_000))) {
    for (const { bytes } of batch) lines.push(textOf(bytes));
  }
  return lines;
}

test("the first lines are stored at once, and others once there are many", async () => {
  collect();
  node.write(2);
  await eventually(async () => (await partCount()) === 1);
  expect(await stored()).toEqual(linesTo(2));
  node.write(3);
  const looks = node.queries.length;
  await eventually(() => node.queries.length > looks + 3);
  expect(await partCount()).toBe(1);
  node.write(100);
  await eventually(async () => (await partCount()) > 1);
  expect(await stored()).toEqual(linesTo(105));
});

test("a container that writes nothing has an empty first part, which shows that nothing was lost", async () => {
  collect();
  await eventually(async () => (await partCount()) === 1);
  expect(await stored()).toEqual([]);
});

test("lines are stored once they are old", async () => {
  node.write(1);
  collect({ partAgeMs: 0 });
  await eventually(async () => (await partCount()) === 1);
  node.write(1);
  await eventually(async () => (await partCount()) === 2);
  expect(await stored()).toEqual(linesTo(2));
});

test("a loud container is followed, across the files of its node, and left when it has become quiet", async () => {
  collect({ followBytes: 2000, flushMs: 20 });
  node.write(100);
  await eventually(() => node.followers === 1);
  node.write(100);
  await eventually(async () => (await stored()).length === 200);
  node.rotate();
  node.write(1);
  // The last line before is gone: whether others are cannot be known.
  await eventually(async () => (await stored()).length === 202);
  expect(await stored()).toEqual([...linesTo(200), textOf(lostMark("").bytes), "line 201"]);
  node.write(1);
  await eventually(async () => (await stored()).at(-1) === "line 202");
});

test("lines that the node dropped between two looks are marked in the stored log, and readers see one mark", async () => {
  collect({ lookMs: 1000 });
  node.write(10);
  await eventually(async () => (await partCount()) === 1);
  node.write(10);
  node.rotate();
  node.write(10);
  const expected = [...linesTo(10), textOf(lostMark("").bytes), ...linesTo(30, 21)];
  expect(await shown()).toEqual(expected);
  await eventually(async () => (await partCount()) === 2);
  expect(await stored()).toEqual(expected);
  expect(await shown()).toEqual(expected);
});

test("a process that begins after another was killed continues after its last part", async () => {
  const killed = new AbortController();
  collect({}, parts, killed.signal);
  node.write(50);
  await eventually(async () => (await stored()).length === 50);
  killed.abort();
  node.write(50);
  collect();
  await eventually(async () => (await stored()).length === 100);
  expect(await stored()).toEqual(linesTo(100));
  expect(node.queries.filter((query) => query.get("sinceTime") === null).length).toBeLessThan(4);
});

test("a process that was paused while another one collected stores no line twice, and loses none", async () => {
  const resumed = Promise.withResolvers<void>();
  let isPaused = false;
  const paused: LogParts = {
    ...parts,
    async add(...args) {
      if (isPaused) await resumed.promise;
      return parts.add(...args);
    },
  };
  collect({}, paused);
  node.write(30);
  await eventually(async () => (await stored()).length === 30);
  isPaused = true;
  node.write(30);
  // The paused one is about to store part 2.
  const looks = node.queries.length;
  await eventually(() => node.queries.length > looks + 1);
  // The other one's part 2 has more.
  node.write(30);
  collect();
  await eventually(async () => (await stored()).length === 90);
  resumed.resolve();
  isPaused = false;
  node.write(60);
  await eventually(async () => (await stored()).length >= 150);
  await stays(async () => (await stored()).length === 150);
  expect(await stored()).toEqual(linesTo(150));
});

test("a store that is away is reported once, and lines are stored when it is back", async () => {
  let isAway = true;
  const away: LogParts = {
    ...parts,
    async add(...args) {
      if (isAway) throw new Error("the disk is full");
      return parts.add(...args);
    },
  };
  collect({ retryMs: 20 }, away);
  node.write(30);
  await eventually(() => told.length === 1);
  const looks = node.queries.length;
  await eventually(() => node.queries.length > looks + 4);
  expect(told).toEqual(["the log of a live run could not be stored, trying again"]);
  isAway = false;
  await eventually(() => told.length === 2);
  expect(await stored()).toEqual(linesTo(30));
  expect(told[1]).toBe("the logs of live runs are stored again");
});

test("a container that has ended, or whose pod is gone, is read no more", async () => {
  const collector = collect();
  node.write(1);
  await eventually(async () => (await partCount()) === 1);
  collector.see(ENDED);
  const looks = node.queries.length;
  await stays(() => node.queries.length <= looks + 1, { looks: 30 });
  expect(await stored()).toEqual(linesTo(1));
  collector.see(RUNNING);
  await eventually(() => node.queries.length > looks + 2);
  fake.intercept = () => false;
  fake.drop(RUNNING.metadata?.name ?? "");
  const asked = fake.asked.length;
  await eventually(() => fake.asked.length > asked);
  const after = fake.asked.length;
  await stays(() => fake.asked.length <= after + 1, { looks: 30 });
});

test("readers see the same before and after the pod is gone", async () => {
  const run = { ...RUN, startedAt, finishedAt: startedAt };
  collect();
  node.write(200);
  await eventually(async () => (await stored()).length === 200);
  node.rotate();
  node.end();
  fake.change(ENDED);
  expect(await shown()).toEqual(linesTo(200));
  expect(await shown({ tailLines: 3 })).toEqual(linesTo(200, 198));
  expect(await shown({ toArchive: true })).toEqual(linesTo(200));
  fake.drop(RUNNING.metadata?.name ?? "");
  const lines: string[] = [];
  const reader = createKubeReader({ kube: fake.kube, settings: SETTINGS, parts });
  for await (const batch of reader.logs(run, { toArchive: true }, AbortSignal.timeout(15_000))) {
    for (const { bytes } of batch) lines.push(textOf(bytes));
  }
  expect(lines).toEqual([...linesTo(200), "[tyger] The pod was removed before its log was archived"]);
});
