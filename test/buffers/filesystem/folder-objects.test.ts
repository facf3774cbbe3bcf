import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFolderObjects } from "../../../buffers/filesystem/folder-objects.ts";
import type { ObjectStore } from "../../../model/ports/objects.ts";
import { testObjectStore } from "../../ports/object-store.ts";

let dir: string;
let objects: ObjectStore;
beforeEach(async () => {
  dir = join(await mkdtemp(join(tmpdir(), "tyger-objects-")), "logs");
  await mkdir(dir);
  objects = createFolderObjects(dir);
});
afterEach(() => rm(join(dir, ".."), { recursive: true, force: true }));

testObjectStore(async () => objects);

const content = async function* (text = ""): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
};
async function* breaking(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("half");
  throw new Error("the engine went away");
}
const namesIn = async (folder: string): Promise<string[]> => (await readdir(join(dir, folder))).sort();

test("neither many writers at once nor one that breaks off leave a file behind", async () => {
  await Promise.all(Array.from({ length: 20 }, (_, n) => objects.put("0/7.log", content(`end ${n}`))));
  await expect(objects.put("0/8.log", breaking())).rejects.toThrow("the engine went away");
  expect(await namesIn("0")).toEqual(["7.log"]);
});

test("the file of a dead writer is removed by a later one: after a day, or with the whole object", async () => {
  await objects.put("0/6.log", content());
  const stale = join(dir, "0", "7.log.0123456789ab.new");
  await writeFile(stale, "half");
  await utimes(stale, 1, 1);
  await writeFile(join(dir, "0", "7.log.ba9876543210.new"), "half");
  await expect(objects.put("0/7.log", breaking())).rejects.toThrow("the engine went away");
  expect(await namesIn("0")).toEqual(["6.log", "7.log.ba9876543210.new"]);
  await objects.put("0/7.log", content());
  expect(await namesIn("0")).toEqual(["6.log", "7.log"]);
});

test.each(["../x.log", "a/../x.log", "/x.log", "a//x.log", ".log", "a/.x", "", "a/x.log.new"])(
  "the key %j is refused",
  async (key) => {
    await expect(objects.put(key, content())).rejects.toThrow("is not valid");
    await expect(objects.head(key)).rejects.toThrow("is not valid");
  },
);

test("while its disk is away nothing is missing, and nothing is made in its place", async () => {
  await objects.put("0/7.log", content("kept"));
  await rename(dir, `${dir}-away`);
  const away = { code: "Unavailable", message: expect.stringMatching(/^The folder '.*' is missing; mount its disk/) };
  await expect(objects.head("0/7.log")).rejects.toMatchObject(away);
  await expect(objects.put("1/1007.log", content())).rejects.toMatchObject(away);
  await expect(objects.list("", { limit: 10 })).rejects.toMatchObject(away);
  await expect(objects.list("0/", { limit: 10 })).rejects.toMatchObject(away);
  await expect(objects.get("0/7.log", { from: 0, to: 1 })[Symbol.asyncIterator]().next()).rejects.toMatchObject(away);
  await expect(stat(dir)).rejects.toMatchObject({ code: "ENOENT" });
  await rename(`${dir}-away`, dir);
  expect(await objects.head("0/7.log")).toEqual({ sizeBytes: 4 });
});
