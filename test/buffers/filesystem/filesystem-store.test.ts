import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFilesystemStore } from "../../../buffers/filesystem/filesystem-store.ts";
import type { BufferStore } from "../../../model/ports/store.ts";
import { testBufferStore } from "../../ports/buffer-store.ts";
import { eventually } from "../../eventually.ts";

const folders: string[] = [];
async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tyger-store-"));
  folders.push(folder);
  return folder;
}
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

testBufferStore(async () => createFilesystemStore(await freshFolder()));

const PASSAGE = "-passage";

test("neither a refused nor a torn upload leaves a file behind", async () => {
  const root = await freshFolder();
  const store = createFilesystemStore(root);
  await store.provision("abc");
  await store.put("abc", "00/000", Readable.from([Buffer.from("x")]), { metadata: {} });
  const torn = new Readable({ read() {} });
  const upload = store.put("abc", "00/001", torn, { metadata: {} });
  await eventually(async () => (await readdir(join(root, PASSAGE))).length === 1);
  torn.destroy(new Error("torn"));
  await expect(upload).rejects.toThrow("torn");
  await expect(
    store.put("abc", "00/002", Readable.from([Buffer.from("x")]), { contentMd5: "AAAA", metadata: {} }),
  ).rejects.toThrow("MD5");
  expect(await readdir(join(root, PASSAGE))).toEqual([]);
});

test("an unfinished upload that is removed can be repeated: its buffer is there", async () => {
  const root = await freshFolder();
  const store = createFilesystemStore(root);
  await store.provision("abc");
  const body = new Readable({ read() {} });
  const upload = store.put("abc", "00/000", body, { metadata: {} });
  await eventually(async () => (await readdir(join(root, PASSAGE))).length === 1);
  await rm(join(root, PASSAGE), { recursive: true });
  body.push(null);
  await expect(upload).rejects.toMatchObject({ code: "Unavailable" });
  await store.put("abc", "00/000", Readable.from([Buffer.from("x")]), { metadata: {} });
  expect(await store.head("abc", "00/000")).toMatchObject({ sizeBytes: 1 });
});

test("a full disk is reported and leaves nothing visible", async () => {
  const root = await freshFolder();
  const store = createFilesystemStore(root);
  await store.provision("abc");
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  const body = Readable.from(
    (async function* () {
      yield randomBytes(600_000);
      throw full;
    })(),
  );
  await expect(store.put("abc", "00/000", body, { metadata: {} })).rejects.toMatchObject({
    code: "Unavailable",
    message: "The buffer store has no space left: make room in the stack's data folder",
    cause: full,
  });
  expect(await readdir(join(root, "abc"))).toEqual([]);
  expect(await readdir(join(root, PASSAGE))).toEqual([]);
});

test("old leftovers of a killed process are removed, a fresh upload of another process is not", async () => {
  const root = await freshFolder();
  const passage = join(root, PASSAGE);
  await mkdir(passage, { recursive: true });
  await writeFile(join(passage, "old"), "x");
  await writeFile(join(passage, "fresh"), "x");
  const longAgo = new Date(Date.now() - 2 * 3_600_000);
  await utimes(join(passage, "old"), longAgo, longAgo);
  await createFilesystemStore(root).provision("abc");
  expect(await readdir(passage)).toEqual(["fresh"]);
});

test("a blob written by another process ends a wait", async () => {
  const root = await freshFolder();
  const ours = createFilesystemStore(root);
  await ours.provision("abc");
  const waited = ours.waitFor("abc", ".bufferend", 20_000, new AbortController().signal);
  await createFilesystemStore(root).put("abc", ".bufferend", Readable.from([Buffer.from("x")]), { metadata: {} });
  await waited;
  expect((await ours.head("abc", ".bufferend")).sizeBytes).toBe(1);
});

test("a file that lost its tail keeps the MD5 it was stored with", async () => {
  const root = await freshFolder();
  const store = createFilesystemStore(root);
  await store.provision("abc");
  const stored = await store.put("abc", "00/000", Readable.from([Buffer.from("Hello")]), { metadata: { a: "b" } });
  const file = join(root, "abc", "00-000");
  const { length } = await readFile(file);
  await truncate(file, length - 2);
  expect(await store.head("abc", "00/000")).toEqual({ ...stored, sizeBytes: 3 });
});

test.for([0, 3, 10, 30])("a file of %d bytes without a blob is reported as damaged", async (size) => {
  const root = await freshFolder();
  const store = createFilesystemStore(root);
  await store.provision("abc");
  await writeFile(join(root, "abc", "00-000"), Buffer.alloc(size, 7));
  await expect(store.get("abc", "00/000")).rejects.toThrow("The stored blob 'abc/00/000' is damaged");
});

describe("a store whose disk is away", () => {
  let root: string;
  let store: BufferStore;
  const away = { code: "Unavailable", message: expect.stringMatching(/^The folder '.*' is missing; mount its disk/) };
  const noBytes = { contentMd5: "1B2M2Y8AsgTpgAmY7PhCfg==", metadata: {} };
  beforeEach(async () => {
    root = join(await freshFolder(), "buffers");
    await mkdir(root);
    store = createFilesystemStore(root);
    await store.provision("abc");
    await store.putWhole("abc", "00/000", new Uint8Array(), noBytes);
    await rename(root, `${root}-away`);
  });

  test.each<[string, () => Promise<unknown>]>([
    ["provision", () => store.provision("def")],
    ["exists", () => store.exists("abc")],
    ["put", () => store.put("abc", "00/001", Readable.from([]), { metadata: {} })],
    ["putWhole", () => store.putWhole("abc", "00/001", new Uint8Array(), noBytes)],
    ["get", () => store.get("abc", "00/000")],
    ["getWhole", () => store.getWhole("abc", "00/000", (size) => Buffer.alloc(size))],
    ["head", () => store.head("abc", "00/000")],
    ["list", () => store.list("abc", { limit: 10 })],
    ["delete", () => store.delete("abc")],
  ])("does not answer '%s', makes no folder, and works again when it is back", async (_name, call) => {
    await expect(call()).rejects.toMatchObject(away);
    // Neither does one that starts meanwhile.
    await expect(createFilesystemStore(root).provision("def")).rejects.toMatchObject(away);
    await expect(stat(root)).rejects.toMatchObject({ code: "ENOENT" });
    await rename(`${root}-away`, root);
    expect([await store.exists("abc"), await store.exists("def")]).toEqual([true, false]);
    expect((await store.list("abc", { limit: 10 })).paths).toEqual(["00/000"]);
  });

  test("ends a wait, so that the reader asks again", async () => {
    await store.waitFor("abc", "00/001", 20_000, new AbortController().signal);
    await expect(store.get("abc", "00/001")).rejects.toMatchObject(away);
  });
});

test.each(["EIO", "ENOTCONN", "ESTALE", "EROFS"])(
  "a file system that answers %s is not a missing blob",
  async (code) => {
    const store = createFilesystemStore(await freshFolder());
    await store.provision("abc");
    const body = Readable.from(
      (async function* () {
        yield randomBytes(10);
        throw Object.assign(new Error(`${code}: write`), { code });
      })(),
    );
    await expect(store.put("abc", "00/000", body, { metadata: {} })).rejects.toMatchObject({ code: "Unavailable" });
  },
);
