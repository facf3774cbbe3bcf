import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFolderObjects } from "../../buffers/filesystem/folder-objects.ts";
import { createLogArchive } from "../../logs/archive.ts";
import { createLogParts } from "../../logs/log-parts.ts";
import type { LogLine } from "../../model/ports/log.ts";
import type { LogParts, PartQuery } from "../../model/ports/log-parts.ts";
import type { ObjectStore } from "../../model/ports/objects.ts";
import { FakeBucket } from "../fakes/bucket.ts";
import { createGcsObjects } from "../../buffers/gcs/gcs-objects.ts";
import { logsIn } from "../fakes/locations.ts";

let dir: string;
let parts: LogParts;
let objects: ObjectStore;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tyger-parts-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const RUN = { id: 1234, uid: "abc" };
const STREAM = "job-0-main";
const instant = (nanos: number): string => `2026-01-01T00:00:00.${String(nanos).padStart(9, "0")}Z`;
const line = (nanos: number): LogLine => ({ at: instant(nanos), bytes: Buffer.from(`line ${nanos}\n`) });

async function add(number: number, from: number, to: number, run = RUN, into = parts): Promise<boolean> {
  const lines = into.collect();
  for (let nanos = from; nanos <= to; nanos++) lines.add([line(nanos)]);
  return into.add(run, STREAM, { number, position: `after ${to}`, latestAt: instant(to) }, lines);
}

async function numbersOf(query: PartQuery): Promise<number[]> {
  const numbers: number[] = [];
  for await (const { number } of parts.read(RUN, STREAM, query)) numbers.push(number);
  return numbers;
}

describe.each<[string, () => ObjectStore]>([
  ["a folder", () => createFolderObjects(dir)],
  ["a bucket", () => createGcsObjects(new FakeBucket(), "tyger/logs/")],
])("in %s", (_name, open) => {
  beforeEach(() => {
    objects = open();
    parts = createLogParts(logsIn(objects));
  });

  test("a stream without parts has no last one, and no lines", async () => {
    expect(await parts.last(RUN, STREAM)).toBeUndefined();
    expect(await numbersOf({})).toEqual([]);
    await parts.remove(RUN);
  });

  test("lines come back byte for byte, with the position after each part", async () => {
    const lines = [
      line(1),
      { at: instant(2), bytes: Buffer.from([0, 255, 10]) },
      { at: instant(3), bytes: Buffer.from("\n") },
    ];
    const collected = parts.collect();
    collected.add(lines.slice(0, 1));
    collected.add([]);
    collected.add(lines.slice(1));
    expect(await parts.add(RUN, STREAM, { number: 1, position: '{"a":"\n"}', latestAt: instant(3) }, collected)).toBe(
      true,
    );
    expect(await parts.last(RUN, STREAM)).toEqual({ number: 1, position: '{"a":"\n"}', latestAt: instant(3) });
    for await (const part of parts.read(RUN, STREAM, {})) {
      expect(part.lines.map(({ at, bytes }) => [at, [...bytes]])).toEqual(
        lines.map(({ at, bytes }) => [at, [...bytes]]),
      );
    }
  });

  test("the first part of a number stays, and its writer alone hears that it is stored", async () => {
    const another = createLogParts(logsIn(objects));
    const answers = await Promise.all([add(1, 1, 3), add(1, 1, 4, RUN, another), add(1, 1, 5, RUN, another)]);
    expect(answers.filter(Boolean)).toHaveLength(1);
    const last = ["after 3", "after 4", "after 5"][answers.indexOf(true)];
    expect((await parts.last(RUN, STREAM))?.position).toBe(last);
  });

  test("an empty part can be stored", async () => {
    expect(await parts.add(RUN, STREAM, { number: 1, position: "{}", latestAt: instant(0) }, parts.collect())).toBe(
      true,
    );
    expect(await numbersOf({})).toEqual([1]);
  });

  test.each<[string, PartQuery, number[]]>([
    ["all", {}, [1, 2, 3, 4]],
    ["those after a part", { after: 2 }, [3, 4]],
    ["those with later lines", { since: instant(20) }, [3, 4]],
    ["those with later lines, from the middle of one", { since: instant(19) }, [2, 3, 4]],
    ["the last one even if no line of it is later", { since: instant(99) }, [4]],
    ["those with the last lines", { tailLines: 11 }, [3, 4]],
    ["the last one even if no line of it is wanted", { tailLines: 0 }, [4]],
    ["all when there are fewer lines", { tailLines: 100 }, [1, 2, 3, 4]],
    ["the last lines of later ones", { since: instant(20), tailLines: 100 }, [3, 4]],
    ["none after the last", { after: 4 }, []],
  ])("parts are read: %s", async (_query, query, expected) => {
    for (const number of [1, 2, 3, 4]) await add(number, number * 10 - 9, number * 10);
    expect(await numbersOf(query)).toEqual(expected);
  });

  test("removing a run leaves nothing of it, and everything of others", async () => {
    const other = { id: 1234, uid: "def" };
    await add(1, 1, 2);
    await add(2, 3, 4);
    await add(1, 1, 2, other);
    await parts.remove(RUN);
    expect(await parts.last(RUN, STREAM)).toBeUndefined();
    expect(await parts.last(other, STREAM)).toBeDefined();
    await parts.remove(other);
    expect((await objects.list("", { limit: 10 })).entries).toEqual([]);
  });

  test("a part that is removed while it is read is an error, not a shorter log", async () => {
    await add(1, 1, 2);
    await add(2, 3, 4);
    const reading = async (): Promise<void> => {
      for await (const { number } of parts.read(RUN, STREAM, {})) if (number === 1) await parts.remove(RUN);
    };
    await expect(reading()).rejects.toThrow("was removed");
  });

  test("parts of live logs are not archived logs", async () => {
    await add(1, 1, 2);
    const archive = createLogArchive(logsIn(objects));
    expect(await archive.read(RUN, {})).toBeUndefined();
    expect(await archive.highestNumber("local")).toBe(0);
  });
});

test("after the default location has changed, parts in the former one still count", async () => {
  const [first, second] = [new FakeBucket(), new FakeBucket()].map((bucket) => createGcsObjects(bucket, "logs/"));
  if (!first || !second) throw new Error("there are two");
  const at = (name: string) => (name === "first" ? first : second);
  const used = async () => ["first", "second"];
  await add(1, 1, 2, RUN, createLogParts({ default: "first", objectsAt: at, used }));
  parts = createLogParts({ default: "second", objectsAt: at, used });
  expect((await parts.last(RUN, STREAM))?.number).toBe(1);
  await add(2, 3, 4);
  expect(await numbersOf({})).toEqual([1, 2]);
  await parts.remove(RUN);
  expect(await numbersOf({})).toEqual([]);
});

test("a folder has no trace of a run whose parts were removed", async () => {
  parts = createLogParts(logsIn(createFolderObjects(dir)));
  await add(1, 1, 2);
  await parts.remove(RUN);
  expect(await readdir(dir)).toEqual([]);
});
