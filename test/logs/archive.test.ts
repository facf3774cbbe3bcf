import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createLogArchive } from "../../logs/archive.ts";
import type { LogLine, LogLines } from "../../model/log.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tyger-logs-"));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const instant = (n: number): string => `2026-01-01T00:00:00.${String(n).padStart(9, "0")}Z`;
const line = (n: number, text: string): LogLine => ({ at: instant(n), bytes: Buffer.from(text) });

async function* batches(lines: readonly LogLine[], size = 7): LogLines {
  for (let i = 0; i < lines.length; i += size) yield lines.slice(i, i + size);
}

async function textOf(lines: LogLines | undefined): Promise<string> {
  let text = "";
  for await (const batch of lines ?? [])
    for (const { at, bytes } of batch) text += `${at}|${Buffer.from(bytes).toString("latin1")}`;
  return text;
}

describe("an archived log", () => {
  const lines = Array.from({ length: 3500 }, (_, n) => line(n, `line ${n}\n`));
  const expected = (wanted: readonly LogLine[]): Promise<string> => textOf(batches(wanted));
  const cases: [string, { tailLines?: number; since?: string }, (all: LogLine[]) => LogLine[]][] = [
    ["comes back whole", {}, (all) => all],
    ["gives its last three lines", { tailLines: 3 }, (all) => all.slice(-3)],
    ["gives no line for a tail of 0", { tailLines: 0 }, () => []],
    ["gives all for a tail that is longer", { tailLines: 9999 }, (all) => all],
    ["gives what is strictly later than an instant", { since: instant(1999) }, (all) => all.slice(2000)],
    ["gives nothing after its end", { since: instant(3499) }, () => []],
    ["takes the tail first, then the instant", { tailLines: 10, since: instant(3494) }, (all) => all.slice(3495)],
  ];
  test.each(cases)("%s", async (_name, query, wanted) => {
    const archive = createLogArchive(dir);
    await archive.write(1, batches(lines));
    expect(await textOf(await archive.read(1, query))).toBe(await expected(wanted(lines)));
  });

  test("keeps long and binary lines and a last line without a line feed", async () => {
    const odd = [
      line(1, `${"x".repeat(2_000_000)}\n`),
      { at: instant(2), bytes: Buffer.from([0, 255, 13, 10]) },
      line(3, "no end"),
    ];
    const archive = createLogArchive(dir);
    await archive.write(2, batches(odd, 1));
    expect(await textOf(await archive.read(2, {}))).toBe(await expected(odd));
    expect(await textOf(await archive.read(2, { tailLines: 1 }))).toBe(`${instant(3)}|no end`);
  });

  test("of nothing is an archive, and no archive is none", async () => {
    const archive = createLogArchive(dir);
    await archive.write(3, batches([]));
    expect(await textOf(await archive.read(3, {}))).toBe("");
    expect(await archive.read(3, {})).toBeDefined();
    expect(await archive.read(4, {})).toBeUndefined();
  });

  test("that broke off half-way is not there, leaves nothing, and can be written again", async () => {
    const archive = createLogArchive(dir);
    async function* broken(): LogLines {
      yield [line(1, "one\n")];
      throw new Error("the engine is gone");
    }
    await expect(archive.write(5, broken())).rejects.toThrow("the engine is gone");
    expect(await readdir(dir)).toEqual([]);
    // As a writer that was killed between its two renames leaves it.
    await writeFile(join(dir, "5.log"), "half");
    expect(await archive.read(5, {})).toBeUndefined();
    await archive.write(5, batches([line(1, "one\n")]));
    expect(await textOf(await archive.read(5, {}))).toBe(`${instant(1)}|one\n`);
  });
});
