import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFolderObjects } from "../../buffers/filesystem/folder-objects.ts";
import { createLogArchive } from "../../logs/archive.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import type { LogArchive, LogLine, LogLines, LogQuery } from "../../model/ports/log.ts";
import { FakeBucket } from "../fakes/bucket.ts";
import { createGcsObjects } from "../../buffers/gcs/gcs-objects.ts";
import { logsIn } from "../fakes/locations.ts";

let dir: string;
let archive: LogArchive;
const open = {
  "a folder": () => createFolderObjects(dir),
  "a bucket": () => createGcsObjects(new FakeBucket(), "tyger/logs/"),
};
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tyger-logs-"));
  archive = createLogArchive(logsIn(open["a folder"]()));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

interface Shown {
  at: string;
  text: string;
}
const instant = (nanos: number): string => `2026-01-01T00:00:00.${String(nanos).padStart(9, "0")}Z`;
const line = (nanos: number, text: string | Buffer): LogLine => ({ at: instant(nanos), bytes: Buffer.from(text) });
async function* batches(lines: readonly LogLine[], size = 1000): LogLines {
  for (let i = 0; i < lines.length; i += size) yield lines.slice(i, i + size);
}
/** As text, which is compared far faster than bytes. */
const shown = ({ at, bytes }: LogLine): Shown => ({ at, text: Buffer.from(bytes).toString("latin1") });
async function read(runId: number, query: Pick<LogQuery, "tailLines" | "since"> = {}): Promise<Shown[] | undefined> {
  const lines = await archive.read({ id: runId }, query);
  if (!lines) return undefined;
  const all: Shown[] = [];
  for await (const batch of lines) for (const one of batch) all.push(shown(one));
  return all;
}

const WHOLE = [line(1, "whole\n"), line(2, "log\n")];

describe.each(Object.entries(open))("in %s", (_name, objects) => {
  beforeEach(() => {
    archive = createLogArchive(logsIn(objects()));
  });

  test("runs with the same number have logs of their own", async () => {
    const text = async (run: RunIdentity): Promise<string | undefined> => {
      const lines = await archive.read(run, {});
      let all = "";
      for await (const batch of lines ?? []) for (const { bytes } of batch) all += Buffer.from(bytes).toString();
      return lines && all;
    };
    await archive.write({ id: 7 }, batches([line(1, "old\n")]));
    expect(await text({ id: 7, uid: "abc" })).toBeUndefined();
    await archive.write({ id: 7, uid: "abc" }, batches([line(1, "new\n")]));
    expect([await text({ id: 7 }), await text({ id: 7, uid: "abc" })]).toEqual(["old\n", "new\n"]);
  });

  test("a log that was never archived is not there", async () => {
    expect(await read(7)).toBeUndefined();
  });

  test("an empty log is archived as an empty log", async () => {
    await archive.write({ id: 7 }, batches([]));
    expect(await read(7)).toEqual([]);
    expect(await read(7, { tailLines: 3 })).toEqual([]);
    expect(await read(7, { since: "2020-01-01T00:00:00Z" })).toEqual([]);
  });

  test("lines come back byte for byte, the last one without its line feed", async () => {
    const lines = [
      line(1, "one\n"),
      line(2, "\n"),
      line(3, Buffer.from([0, 255, 10])),
      line(3, "x".repeat(2_000_000) + "\n"),
      line(4, "end"),
    ];
    await archive.write({ id: 7 }, batches(lines));
    expect(await read(7)).toEqual(lines.map(shown));
  });

  test("a line without line feed gets one when another follows", async () => {
    await archive.write({ id: 7 }, batches([line(1, "open"), line(2, "end")]));
    expect((await read(7))?.map(({ text }) => text)).toEqual(["open\n", "end"]);
  });

  test("the first whole log stays, and a repeated call does not read it again", async () => {
    await archive.write({ id: 7 }, batches(WHOLE));
    let reads = 0;
    async function* again(): LogLines {
      reads += 1;
      yield [line(3, "short\n")];
    }
    await archive.write({ id: 7 }, again());
    expect(reads).toBe(0);
    expect(await read(7)).toEqual(WHOLE.map(shown));
  });

  test("a writer that was held up, and then finds its container removed, replaces no whole log", async () => {
    const begun = Promise.withResolvers<void>();
    const resumed = Promise.withResolvers<void>();
    async function* heldUp(): LogLines {
      yield [line(1, "whole\n")];
      begun.resolve();
      await resumed.promise;
    }
    const late = archive.write({ id: 7 }, heldUp());
    await begun.promise;
    await archive.write({ id: 7 }, batches(WHOLE));
    resumed.resolve();
    await late;
    expect(await read(7)).toEqual(WHOLE.map(shown));
  });

  test("of many writers at once one log is whole, and nothing else is left", async () => {
    const ends = Array.from({ length: 20 }, (_, n) => line(3, `end ${n}\n`));
    await Promise.all(ends.map((end) => archive.write({ id: 7 }, batches([...WHOLE, end], 1))));
    expect(ends.map((end) => [...WHOLE, end].map(shown))).toContainEqual(await read(7));
  });

  test("a log that breaks off is not archived", async () => {
    async function* breaking(): LogLines {
      yield [line(1, "one\n")];
      throw new Error("the engine went away");
    }
    await expect(archive.write({ id: 7 }, breaking())).rejects.toThrow("the engine went away");
    expect(await read(7)).toBeUndefined();
  });

  describe("a log of many blocks", () => {
    // Three lines share each instant, and neighbors are out of order.
    const lines = Array.from({ length: 60_000 }, (_, i) => {
      const group = Math.floor(i / 3);
      return line(group % 2 === 0 ? group + 1 : group - 1, `${i} ${"y".repeat(i % 150)}\n`);
    });
    beforeEach(() => archive.write({ id: 1234 }, batches(lines)));

    test("is read whole", async () => {
      expect(await read(1234)).toEqual(lines.map(shown));
    });

    test.each([0, 1, 2, 12_345, 59_999, 60_000, 100_000])("ends with its last %d lines", async (count) => {
      expect(await read(1234, { tailLines: count })).toEqual(count === 0 ? [] : lines.slice(-count).map(shown));
    });

    test.each([0, 1, 2, 9_999, 19_998, 19_999, 30_000])("is read from after %d ns", async (nanos) => {
      const since = instant(nanos);
      expect(await read(1234, { since })).toEqual(lines.filter(({ at }) => at > since).map(shown));
      expect(await read(1234, { since, tailLines: 10 })).toEqual(
        lines
          .filter(({ at }) => at > since)
          .slice(-10)
          .map(shown),
      );
    });

    test("takes an instant with an offset and few digits", async () => {
      expect(await read(1234, { since: "2026-01-01T02:00:00+02:00" })).toEqual(
        lines.filter(({ at }) => at > instant(0)).map(shown),
      );
    });
  });

  test("the highest number is that of any log, whichever runs are known", async () => {
    expect(await archive.highestNumber("local")).toBe(0);
    await archive.write({ id: 999, uid: "abc" }, batches([]));
    expect(await archive.highestNumber("local")).toBe(999);
    await archive.write({ id: 12_007 }, batches([]));
    await archive.write({ id: 12_040, uid: "abc" }, batches([]));
    await archive.write({ id: 2001 }, batches([]));
    expect(await archive.highestNumber("local")).toBe(12_040);
  });
});

describe("in a folder", () => {
  test("a disk without room is reported", async () => {
    await writeFile(join(dir, "0"), "in the way");
    await expect(archive.write({ id: 7 }, batches([]))).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringMatching(/^The log of run '7' could not be archived: /),
    });
  });

  test("a file that is not an archive is not read as one", async () => {
    await archive.write({ id: 7 }, batches([]));
    await writeFile(join(dir, "0", "7.log"), "something else altogether, of some length");
    await expect(read(7)).rejects.toThrow("not an archived log");
  });

  test("each run has a file of its own, and one without a uid keeps its old one", async () => {
    await archive.write({ id: 7 }, batches([]));
    await archive.write({ id: 7, uid: "abc" }, batches([]));
    expect((await readdir(join(dir, "0"))).sort()).toEqual(["7-abc.log", "7.log"]);
  });

  test("the file of an older version is read", async () => {
    const text = `${instant(1)} one\n${instant(2)} two`;
    const index = `{"lineCount":2,"sizeBytes":${text.length},"blocks":[{"offset":0,"linesBefore":0,"latestBefore":"0001-01-01T00:00:00.000000000Z"}]}`;
    await mkdir(join(dir, "0"));
    await writeFile(join(dir, "0", "7.log"), `${text}${index}${String(text.length).padStart(16, "0")} tygerlog1`);
    expect(await read(7)).toEqual([line(1, "one\n"), line(2, "two")].map(shown));
    expect(await read(7, { tailLines: 1 })).toEqual([shown(line(2, "two"))]);
    expect(await archive.highestNumber("local")).toBe(7);
  });
});
