import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeFolder } from "../../disk/folders.ts";
import { writeWholeBy } from "../../disk/write-stream.ts";
import { writeWhole } from "../../disk/write-whole.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tyger-disk-"));
  path = join(folder, "file");
});
afterEach(() => rmSync(folder, { recursive: true }));

const found = () => ({
  text: readFileSync(path, "utf8"),
  mode: statSync(path).mode & 0o777,
  names: readdirSync(folder),
});

describe.each([{ durable: false }, { durable: true }])("a small file ($durable)", (options) => {
  test("is written with its mode, over a former one, and nothing is left beside it", () => {
    writeWhole(path, "former", { ...options, mode: 0o644 });
    expect(writeWhole(path, "text", options)).toBe(true);
    expect(found()).toEqual({ text: "text", mode: 0o600, names: ["file"] });
  });

  test("is written once: a later writer changes nothing", () => {
    expect(writeWhole(path, "first", { ...options, once: true })).toBe(true);
    expect(writeWhole(path, Buffer.from("second"), { ...options, once: true })).toBe(false);
    expect(found()).toEqual({ text: "first", mode: 0o600, names: ["file"] });
  });
});

test("the former file is replaced, not changed: a reader that has it open sees it whole", () => {
  writeWhole(path, "former");
  const former = statSync(path).ino;
  writeWhole(path, "text");
  expect(statSync(path).ino).not.toBe(former);
});

describe("a failure leaves the former file and nothing beside it", () => {
  test("of the name", () => {
    mkdirSync(path);
    expect(() => writeWhole(path, "text")).toThrow("EISDIR");
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  test("of the content", async () => {
    writeWhole(path, "former");
    const write = async () => {
      throw new Error("broken off");
    };
    await expect(writeWholeBy(path, write)).rejects.toThrow("broken off");
    expect(found()).toEqual({ text: "former", mode: 0o600, names: ["file"] });
  });

  test("of the folder", () => {
    expect(() => writeWhole(join(folder, "none", "file"), "text")).toThrow("ENOENT");
    writeFileSync(path, "a file");
    expect(() => writeWhole(join(path, "file"), "text")).toThrow("ENOTDIR");
  });
});

test("content that comes bit by bit is seen only when it is whole", async () => {
  writeWhole(path, "former");
  await writeWholeBy(path, async (file) => {
    await file.appendFile("one ");
    expect(readFileSync(path, "utf8")).toBe("former");
    await file.appendFile("two");
  });
  expect(found()).toEqual({ text: "one two", mode: 0o600, names: ["file"] });
});

describe("a folder", () => {
  test("is made with those above it, and may be there already", () => {
    const deep = join(folder, "a", "b");
    makeFolder(deep, 0o700);
    makeFolder(deep, 0o700);
    expect([deep, join(folder, "a")].map((one) => statSync(one).mode & 0o777)).toEqual([0o700, 0o700]);
  });

  test("is not made where a file is", () => {
    writeFileSync(path, "a file");
    expect(() => makeFolder(path, 0o700)).toThrow("ENOTDIR");
    expect(() => makeFolder(join(path, "below"), 0o700)).toThrow("ENOTDIR");
  });

  test("that /proc refuses is an error, not an endless loop", () => {
    expect(() => makeFolder("/proc/none/below", 0o700)).toThrow("ENOENT");
  });
});
