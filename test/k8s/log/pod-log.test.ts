import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openPodLog } from "../../../k8s/log/pod-log.ts";
import type { Pod } from "../../../k8s/spec/wire.ts";
import { lostMark } from "../../../k8s/log/log-marks.ts";
import { LogOverlap } from "../../../k8s/log/log-overlap.ts";
import { storedLogOf, streamOf } from "../../../k8s/log/stored-log.ts";
import { ZERO_INSTANT, type LogQuery } from "../../../model/ports/log.ts";
import type { LogParts } from "../../../model/ports/log-parts.ts";
import { logPartsInMemory } from "../../fakes/log-parts.ts";
import { eventually } from "../../eventually.ts";
import { startFakeKube, type FakeKube } from "../fake-kube.ts";
import { podOf, withMain } from "../spec/pods.ts";

const RUNNING = podOf(withMain({ running: {} }));
const ENDED = podOf(withMain({ terminated: { exitCode: 0 } }));
/** A line of the given second. */
const line = (second: number): string => `2026-01-01T10:00:0${second}.000000001Z line ${second}\n`;

const RUN = { id: 7, uid: "abc" };
const STREAM = streamOf(0, "main");
const MARK = "[tyger] The node dropped lines of this log before they could be read\n";

let fake: FakeKube;
let parts: LogParts;
/** The queries of the requests for logs. */
let queries: URLSearchParams[];

beforeEach(async () => {
  fake = await startFakeKube();
  queries = [];
  parts = logPartsInMemory();
  fake.pods.set(RUNNING.metadata?.name ?? "", RUNNING);
});
afterEach(() => fake.close());

/** Gives these answers, one at each request, and then the last one: lines, then the end, or a connection that breaks. */
function answers(...all: { lines: number[]; breaks?: boolean; podAfter?: Pod }[]): void {
  fake.intercept = (req, res) => {
    if (!req.url?.includes("/log?")) return false;
    queries.push(new URL(req.url, "http://kube").searchParams);
    const { lines, breaks, podAfter } = all[Math.min(queries.length, all.length) - 1] ?? { lines: [] };
    res.write(lines.map(line).join(""), () => {
      if (podAfter) fake.pods.set(podAfter.metadata?.name ?? "", podAfter);
      if (breaks) res.destroy();
      else res.end();
    });
    return true;
  };
}

/** Stores lines of these seconds as the next part, as a collector that read them from the node. */
async function store(number: number, ...seconds: number[]): Promise<void> {
  const lines = seconds.map((second) => ({
    at: line(second).slice(0, ZERO_INSTANT.length),
    bytes: Buffer.from(line(second).slice(ZERO_INSTANT.length + 1)),
  }));
  const position = new LogOverlap();
  position.pass(lines);
  const collected = parts.collect();
  collected.add(lines);
  await parts.add(RUN, STREAM, { number, position: position.toText(), latestAt: position.latestAt }, collected);
}

async function textOf(query: LogQuery): Promise<string> {
  let text = "";
  const pod = fake.pods.get(RUNNING.metadata?.name ?? "") ?? RUNNING;
  const stored = storedLogOf(parts, RUN, STREAM);
  const log = openPodLog({ kube: fake.kube, pod, container: "main", prefix: "", stored }, AbortSignal.timeout(15_000));
  for await (const batch of log.read(query)) for (const { bytes } of batch) text += Buffer.from(bytes).toString();
  return text;
}

const all = (...seconds: number[]): string => seconds.map((second) => `line ${second}\n`).join("");

test("a followed log is read to its end once the container has ended", async () => {
  answers({ lines: [1, 2], podAfter: ENDED }, { lines: [1, 2, 3] });
  expect(await textOf({ follow: true })).toBe(all(1, 2, 3));
  expect(queries.map((query) => query.get("sinceTime"))).toEqual([null, "2026-01-01T10:00:01Z"]);
});

test("a stream that ends while the container runs is opened again, without a gap or a repeated line", async () => {
  answers({ lines: [1, 2] }, { lines: [2, 3] }, { lines: [3, 4], podAfter: ENDED }, { lines: [4] });
  expect(await textOf({ follow: true })).toBe(all(1, 2, 3, 4));
});

test("a connection that breaks is opened again", async () => {
  answers({ lines: [1, 2], breaks: true }, { lines: [2, 3], podAfter: ENDED }, { lines: [3] });
  expect(await textOf({ follow: true })).toBe(all(1, 2, 3));
});

test("lines that the node dropped between two streams are marked", async () => {
  answers({ lines: [1, 2] }, { lines: [5, 6], podAfter: ENDED }, { lines: [6] });
  expect(await textOf({ follow: true })).toBe(all(1, 2) + MARK + all(5, 6));
});

test.each<[string, LogQuery, { lines: number[] }[], string]>([
  ["all lines where there are fewer", { tailLines: 5 }, [{ lines: [3, 4] }], all(3, 4)],
  ["no lines", { tailLines: 0 }, [{ lines: [3, 4] }], ""],
  ["later lines only", { since: "2026-01-01T10:00:03.000000001Z" }, [{ lines: [3, 4] }], all(4)],
  ["the last of the later lines", { since: "2026-01-01T10:00:03.5Z", tailLines: 2 }, [{ lines: [2, 3, 4] }], all(4)],
])("%s", async (_name, query, given, expected) => {
  answers(...given);
  expect(await textOf(query)).toBe(expected);
});

test("one line more than the last ones is read, because the first can be the rest of a long line", async () => {
  answers({ lines: [2, 3, 4] });
  expect(await textOf({ tailLines: 2 })).toBe(all(3, 4));
  expect(queries.map((query) => query.get("tailLines"))).toEqual(["3"]);
});

test.each([
  [0, all(5)],
  [1, all(4, 5)],
])("a log that is followed after its last %i lines continues there", async (tailLines, expected) => {
  answers({ lines: [3, 4] }, { lines: [3, 4, 5], podAfter: ENDED }, { lines: [4, 5] });
  expect(await textOf({ follow: true, tailLines })).toBe(expected);
});

test("a container that is not started has no log", async () => {
  fake.intercept = (req, res) => {
    if (!req.url?.includes("/log?")) return false;
    res.writeHead(400).end(JSON.stringify({ reason: "BadRequest", message: "is waiting to start" }));
    return true;
  };
  expect(await textOf({})).toBe("");
});

test("an interrupted log that is not followed fails", async () => {
  answers({ lines: [1], breaks: true });
  await expect(textOf({})).rejects.toMatchObject({ code: "Unavailable" });
});

describe("a log of which parts were stored", () => {
  test.each<[string, LogQuery, string]>([
    ["is one with the rest on the node", {}, all(1, 2, 3, 4, 5, 6)],
    ["gives the last lines from the node", { tailLines: 2 }, all(5, 6)],
    ["gives more lines than the node has", { tailLines: 4 }, all(3, 4, 5, 6)],
    ["gives as many lines as there are", { tailLines: 9 }, all(1, 2, 3, 4, 5, 6)],
    ["gives later lines of a part", { since: "2026-01-01T10:00:01.5Z" }, all(2, 3, 4, 5, 6)],
    ["gives later lines of the node", { since: "2026-01-01T10:00:05.5Z" }, all(6)],
    ["is archived as a whole", { toArchive: true }, all(1, 2, 3, 4, 5, 6)],
  ])("%s", async (_name, query, expected) => {
    await store(1, 1, 2);
    await store(2, 3, 4);
    fake.pods.set(ENDED.metadata?.name ?? "", ENDED);
    answers({ lines: [4, 5, 6] });
    expect(await textOf(query)).toBe(expected);
  });

  test("is marked where the node no longer has the end of the last part", async () => {
    await store(1, 1, 2);
    answers({ lines: [5, 6] });
    expect(await textOf({})).toBe(all(1, 2) + MARK + all(5, 6));
  });

  test("is marked once where the collector found that lines were lost", async () => {
    const lost = parts.collect();
    lost.add([
      lostMark("2026-01-01T10:00:02.000000001Z"),
      { at: "2026-01-01T10:00:05.000000001Z", bytes: Buffer.from("line 5\n") },
    ]);
    await store(1, 1, 2);
    const position = new LogOverlap();
    position.pass([{ at: "2026-01-01T10:00:05.000000001Z", bytes: Buffer.from("line 5\n") }]);
    await parts.add(RUN, STREAM, { number: 2, position: position.toText(), latestAt: position.latestAt }, lost);
    answers({ lines: [5, 6] });
    expect(await textOf({})).toBe(all(1, 2) + MARK + all(5, 6));
  });

  test("has the lines that the node dropped while it was read, because they were stored meanwhile", async () => {
    await store(1, 1, 2);
    answers({ lines: [2, 3] }, { lines: [7, 8], podAfter: ENDED }, { lines: [7, 8, 9] }, { lines: [9] });
    const reading = textOf({ follow: true });
    await eventually(() => queries.length === 1);
    await store(2, 3, 4, 5, 6, 7);
    expect(await reading).toBe(all(1, 2, 3, 4, 5, 6, 7, 8, 9));
  });

  test("has all lines when the node drops some again at once", async () => {
    await store(1, 1, 2);
    answers(
      { lines: [2, 3] },
      { lines: [5, 6] },
      { lines: [8, 9], podAfter: ENDED },
      { lines: [8, 9] },
      { lines: [9] },
    );
    const before = parts;
    parts = {
      ...before,
      async *read(...args) {
        // Stored while the node was asked.
        if (queries.length === 2) await store(2, 3, 4, 5);
        if (queries.length === 3) await store(3, 6, 7, 8);
        yield* before.read(...args);
      },
    };
    expect(await textOf({ follow: true })).toBe(all(1, 2, 3, 4, 5, 6, 7, 8, 9));
  });

  test("that was read from its node without the parts continues in them where the node has dropped lines", async () => {
    answers({ lines: [3, 4] }, { lines: [7, 8], podAfter: ENDED }, { lines: [7, 8] }, { lines: [8] });
    await store(1, 1, 2, 3);
    await store(2, 4, 5);
    await store(3, 6, 7);
    expect(await textOf({ follow: true, tailLines: 1 })).toBe(all(4, 5, 6, 7, 8));
  });

  test("a long line that is being written is not a line yet", async () => {
    const begun = `${line(1)}2026-01-01T10:00:02.000000001Z the beginning of`;
    const rest = `${line(1)}2026-01-01T10:00:02.000000001Z the beginning of a line\n`;
    const texts = [begun, rest, rest];
    fake.intercept = (req, res) => {
      if (!req.url?.includes("/log?")) return false;
      const text = texts.shift() ?? rest;
      if (texts.length === 0) fake.pods.set(ENDED.metadata?.name ?? "", ENDED);
      res.end(text);
      return true;
    };
    expect(await textOf({})).toBe(all(1));
    expect(await textOf({ follow: true })).toBe(`${all(1)}the beginning of a line\n`);
  });
});

describe("the beginning of a log of which nothing was stored", () => {
  const ended = (finishedAt: string): Pod =>
    podOf(withMain({ terminated: { exitCode: 0, startedAt: "2026-01-01T09:58:00Z", finishedAt } }));
  const mark =
    "[tyger] Earlier lines of this log may be missing: it was not read in the first minute of its container\n";

  test.each([
    ["may be missing after a long time", ended("2026-01-01T10:10:00Z"), mark + all(1, 2)],
    ["is there when the job was short", ended("2026-01-01T09:58:59Z"), all(1, 2)],
  ])("%s", async (_name, pod, expected) => {
    fake.pods.set(pod.metadata?.name ?? "", pod);
    answers({ lines: [1, 2] });
    expect(await textOf({ toArchive: true })).toBe(expected);
  });

  test("is there when a first part was stored, even an empty one", async () => {
    const pod = ended("2026-01-01T10:10:00Z");
    fake.pods.set(pod.metadata?.name ?? "", pod);
    await store(1);
    answers({ lines: [1, 2] });
    expect(await textOf({ toArchive: true })).toBe(all(1, 2));
  });
});
