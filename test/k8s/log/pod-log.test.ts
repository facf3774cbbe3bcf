import { afterEach, beforeEach, expect, test } from "vitest";
import { openPodLog } from "../../../k8s/log/pod-log.ts";
import type { Pod } from "../../../k8s/spec/wire.ts";
import type { LogQuery } from "../../../model/ports/log.ts";
import { startFakeKube, type FakeKube } from "../fake-kube.ts";
import { podOf, withMain } from "../spec/pods.ts";

const RUNNING = podOf(withMain({ running: {} }));
const ENDED = podOf(withMain({ terminated: { exitCode: 0 } }));
/** A line of the given second. */
const line = (second: number): string => `2026-01-01T10:00:0${second}.000000001Z line ${second}\n`;

let fake: FakeKube;
/** The queries of the requests for logs. */
let queries: URLSearchParams[];

beforeEach(async () => {
  fake = await startFakeKube();
  queries = [];
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

async function textOf(query: LogQuery): Promise<string> {
  let text = "";
  for await (const batch of openPodLog(fake.kube, RUNNING, "", AbortSignal.timeout(15_000)).read(query)) {
    for (const { bytes } of batch) text += Buffer.from(bytes).toString();
  }
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
  const mark = "[tyger] The node dropped lines of this log before they could be read\n";
  expect(await textOf({ follow: true })).toBe(all(1, 2) + mark + all(5, 6));
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
