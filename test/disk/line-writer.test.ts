import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createLineWriter } from "../../disk/line-writer.ts";
import { errnoOf } from "../../model/errors.ts";

const LOSS = (lines: number, reason: string): string => `${lines} lost: ${reason}\n`;
const MIB = 1024 * 1024;

/** A pipe that is not read refuses bytes once it is full, as a disk does, and takes a part of what it has room for. */
let folder: string;
let reader: number;
let writer: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tyger-lines-"));
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  writer = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
});
afterEach(() => {
  for (const fd of [reader, writer]) closeSync(fd);
  rmSync(folder, { recursive: true });
});

function readAll(): string {
  let text = "";
  const bytes = Buffer.alloc(64 * 1024);
  for (;;) {
    try {
      text += bytes.toString("latin1", 0, readSync(reader, bytes));
    } catch (err) {
      if (errnoOf(err) === "EAGAIN") return text;
      throw err;
    }
  }
}

const lineOf = (index: number, length: number): string => `${String(index).padEnd(length - 1, ".")}\n`;

test("lines that were refused come before the next one, whole and in order", () => {
  const lines = createLineWriter(writer, LOSS);
  const all = Array.from({ length: 200 }, (_, index) => lineOf(index, 1021));
  for (const line of all) lines.write(line);
  let text = readAll();
  expect(text.length).toBeLessThan(all.join("").length);
  for (let index = 0; index < 4; index += 1) {
    lines.write(lineOf(200 + index, 10));
    all.push(lineOf(200 + index, 10));
    text += readAll();
  }
  expect(text).toBe(all.join(""));
});

test("lines beyond the limit are lost, and one line says how many", () => {
  const lines = createLineWriter(writer, LOSS);
  const all = Array.from({ length: 2000 }, (_, index) => lineOf(index, 1024));
  for (const line of all) lines.write(line);
  let text = readAll();
  for (let index = 0; index < 40; index += 1) {
    lines.write("more\n");
    text += readAll();
  }
  const [first, loss = "", ...rest] = text.split(/(\d+ lost: EAGAIN\n)/);
  const kept = Number(first?.length) / 1024;
  expect(kept * 1024).toBeGreaterThan(MIB);
  expect(first).toBe(all.slice(0, kept).join(""));
  const lost = parseInt(loss, 10);
  expect(lost).toBeGreaterThanOrEqual(all.length - kept);
  // A line that came while older ones still waited is lost too.
  expect(rest.join("")).toBe("more\n".repeat(40 - (lost - (all.length - kept))));
});

test("one line that is longer than the limit is written", () => {
  const lines = createLineWriter(writer, LOSS);
  lines.write(lineOf(0, MIB + 10));
  let text = readAll();
  for (let index = 0; index < 40; index += 1) {
    lines.write("next\n");
    text += readAll();
  }
  expect(text).toBe(lineOf(0, MIB + 10) + "next\n".repeat(40));
});

test("a reader that is gone does not end the process", () => {
  closeSync(reader);
  const lines = createLineWriter(writer, LOSS);
  lines.write("line\n");
  reader = openSync(join(folder, "pipe"), constants.O_RDONLY | constants.O_NONBLOCK);
  lines.write("next\n");
  expect(readAll()).toBe("line\nnext\n");
});
