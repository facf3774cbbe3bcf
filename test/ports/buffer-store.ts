import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import type { BufferStore } from "../../model/ports/store.ts";
import { eventually, stays } from "../eventually.ts";

const md5Of = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("base64");
const streamOf = (...chunks: (Uint8Array | string)[]): Readable =>
  Readable.from(chunks.map((chunk) => Buffer.from(chunk)));

async function bytesOf(store: BufferStore, bufferId: string, blobPath: string): Promise<Buffer> {
  return allOf((await store.get(bufferId, blobPath)).body);
}

/** A piece can be overwritten once the next one has been asked for. */
async function allOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** Less than the blobs of most tests. */
const PAGE = 2;

async function pathsOf(store: BufferStore, bufferId: string): Promise<string[]> {
  const paths: string[] = [];
  for (let after: string | undefined; ;) {
    const page = await store.list(bufferId, { limit: PAGE, after });
    expect(page.paths.length).toBeLessThanOrEqual(PAGE);
    paths.push(...page.paths);
    if (page.next === undefined) return paths;
    after = page.next;
  }
}

/** The tests of every implementation of the port; `makeStore` is called once per test and cleans up after itself. */
export function testBufferStore(makeStore: () => Promise<BufferStore>): void {
  const newBuffer = async (): Promise<{ store: BufferStore; id: string }> => {
    const store = await makeStore();
    const id = `b${randomBytes(12).toString("hex")}`;
    await store.provision(id);
    return { store, id };
  };

  test("a blob comes back with its bytes, its MD5 and its metadata as they were sent", async () => {
    const { store, id } = await newBuffer();
    const metadata = { cumulative_hash_chain: "Be2s=", note: 'ü "quoted" ' };
    const head = await store.put(id, "00/000", streamOf("Hel", "lo"), { metadata });
    expect(head).toEqual({ sizeBytes: 5, contentMd5: "ixqZU8RhEpaoJ6v4xHgE1w==", metadata });
    expect(await store.head(id, "00/000")).toEqual(head);
    const { body, ...found } = await store.get(id, "00/000");
    expect(found).toEqual(head);
    expect((await allOf(body)).toString()).toBe("Hello");
  });

  test.for([0, 1, 16_000, 16_384, 524_288, 5_000_001])("a blob of %d bytes comes back whole", async (size) => {
    const { store, id } = await newBuffer();
    const bytes = randomBytes(size);
    const chunks = Array.from({ length: Math.ceil(size / 65_536) }, (_, i) =>
      bytes.subarray(i * 65_536, (i + 1) * 65_536),
    );
    const head = await store.put(id, "00/000", streamOf(...chunks), { contentMd5: md5Of(bytes), metadata: {} });
    expect(head).toEqual({ sizeBytes: size, contentMd5: md5Of(bytes), metadata: {} });
    expect((await bytesOf(store, id, "00/000")).equals(bytes)).toBe(true);
  });

  test("a piece stays as it is until the next one is asked for, however long that takes", async () => {
    const { store, id } = await newBuffer();
    const bytes = randomBytes(3_000_001);
    await store.put(id, "00/000", streamOf(bytes), { metadata: {} });
    const readSlowly = async (): Promise<boolean> => {
      const pieces: Buffer[] = [];
      for await (const piece of (await store.get(id, "00/000")).body) {
        const before = Buffer.from(piece);
        await stays(() => before.equals(piece), { looks: 3, everyMs: 2 });
        pieces.push(before);
      }
      return Buffer.concat(pieces).equals(bytes);
    };
    expect(await Promise.all([readSlowly(), readSlowly(), readSlowly()])).toEqual([true, true, true]);
  });

  test("a reader that stops halfway does not affect others", async () => {
    const { store, id } = await newBuffer();
    const bytes = randomBytes(3_000_001);
    await store.put(id, "00/000", streamOf(bytes), { metadata: {} });
    for await (const _ of (await store.get(id, "00/000")).body) break;
    const whole = await Promise.all([bytesOf(store, id, "00/000"), bytesOf(store, id, "00/000")]);
    expect(whole.map((read) => read.equals(bytes))).toEqual([true, true]);
  });

  test("a blob is never overwritten, not even by the same bytes", async () => {
    const { store, id } = await newBuffer();
    await store.put(id, "00/000", streamOf("first"), { metadata: {} });
    for (const text of ["first", "second"]) {
      await expect(store.put(id, "00/000", streamOf(text), { metadata: {} })).rejects.toMatchObject({
        code: "UnauthorizedBlobOverwrite",
      });
    }
    expect((await bytesOf(store, id, "00/000")).toString()).toBe("first");
  });

  test("of racing writes exactly one wins, and its bytes are the ones kept", async () => {
    const { store, id } = await newBuffer();
    const texts = Array.from({ length: 8 }, (_, i) => `writer ${i}`);
    const ends = await Promise.allSettled(
      texts.map((text) => store.put(id, ".bufferend", streamOf(text), { metadata: {} })),
    );
    const winners = texts.filter((_, i) => ends[i]?.status === "fulfilled");
    expect(winners).toHaveLength(1);
    expect((await bytesOf(store, id, ".bufferend")).toString()).toBe(winners[0]);
  });

  test("bytes that differ from the announced MD5 are not stored", async () => {
    const { store, id } = await newBuffer();
    const sent = store.put(id, "00/000", streamOf("Hellp"), { contentMd5: "ixqZU8RhEpaoJ6v4xHgE1w==", metadata: {} });
    await expect(sent).rejects.toMatchObject({ code: "Md5Mismatch" });
    await expect(store.head(id, "00/000")).rejects.toMatchObject({ code: "BlobNotFound" });
    expect(await pathsOf(store, id)).toEqual([]);
  });

  test("a body that breaks off stores nothing, and the blob can be written afterwards", async () => {
    const { store, id } = await newBuffer();
    const torn = Readable.from(
      (async function* () {
        yield randomBytes(1_000_000);
        throw new Error("torn");
      })(),
    );
    await expect(store.put(id, "00/000", torn, { metadata: {} })).rejects.toThrow("torn");
    expect(await pathsOf(store, id)).toEqual([]);
    await store.put(id, "00/000", streamOf("whole"), { metadata: {} });
    expect((await bytesOf(store, id, "00/000")).toString()).toBe("whole");
  });

  test("a blob is not visible before its last byte has arrived", async () => {
    const { store, id } = await newBuffer();
    const body = new Readable({ read() {} });
    const stored = store.put(id, "00/000", body, { metadata: {} });
    body.push(randomBytes(1_000_000));
    await expect(store.get(id, "00/000")).rejects.toMatchObject({ code: "BlobNotFound" });
    expect(await pathsOf(store, id)).toEqual([]);
    body.push(null);
    await stored;
    expect(await pathsOf(store, id)).toEqual(["00/000"]);
  });

  test("a buffer without blobs is not a missing buffer", async () => {
    const { store, id } = await newBuffer();
    const other = `x${id}`;
    expect([await store.exists(id), await store.exists(other)]).toEqual([true, false]);
    await expect(store.get(id, "00/000")).rejects.toMatchObject({ code: "BlobNotFound" });
    const refusal = { code: "ContainerNotFound" };
    await expect(store.get(other, "00/000")).rejects.toMatchObject(refusal);
    await expect(store.head(other, "00/000")).rejects.toMatchObject(refusal);
    await expect(store.put(other, "00/000", streamOf("x"), { metadata: {} })).rejects.toMatchObject(refusal);
    await expect(pathsOf(store, other)).rejects.toMatchObject(refusal);
  });

  test("provisioning again keeps existing blobs", async () => {
    const { store, id } = await newBuffer();
    await store.put(id, "00/000", streamOf("kept"), { metadata: {} });
    await store.provision(id);
    expect((await bytesOf(store, id, "00/000")).toString()).toBe("kept");
  });

  test("blobs are listed in the order of their numbers", async () => {
    const { store, id } = await newBuffer();
    const paths = [".bufferend", ".bufferstart", "00/000", "00/FFF", "01/000", "02/00/000", "0A/00/00/000"];
    for (const path of paths.toReversed()) await store.put(id, path, streamOf(path), { metadata: {} });
    expect(await pathsOf(store, id)).toEqual(paths);
  });

  test("a list continues where it was, whatever was stored meanwhile", async () => {
    const { store, id } = await newBuffer();
    for (const path of ["00/001", "00/003", "00/005", "00/007"])
      await store.put(id, path, streamOf(path), { metadata: {} });
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await store.list(id, { limit: PAGE, after });
      seen.push(...page.paths);
      after = page.next;
      // Before what was listed, and so not in the rest of the list.
      await store.put(id, `0${seen.length}/000`, streamOf("x"), { metadata: {} }).catch(() => undefined);
    } while (after !== undefined && seen.length < 20);
    expect(seen.filter((path) => path.startsWith("00/"))).toEqual(["00/001", "00/003", "00/005", "00/007"]);
    expect(new Set(seen).size).toBe(seen.length);
  });

  test.for([0, 1, 16_384, 5_000_001])(
    "a blob of %d bytes in memory goes there and back without a stream",
    async (size) => {
      const { store, id } = await newBuffer();
      const bytes = randomBytes(size);
      const facts = { contentMd5: md5Of(bytes), metadata: { a: "b" } };
      expect(await store.putWhole(id, "00/000", bytes, facts)).toEqual({ sizeBytes: size, ...facts });
      expect((await bytesOf(store, id, "00/000")).equals(bytes)).toBe(true);
      const memory: Buffer[] = [];
      const allocate = (sizeBytes: number): Buffer => {
        const allocated = Buffer.alloc(sizeBytes);
        memory.push(allocated);
        return allocated;
      };
      const { bytes: read, ...head } = await store.getWhole(id, "00/000", allocate);
      expect(head).toEqual({ sizeBytes: size, ...facts });
      expect([read.equals(bytes), read === memory[0]]).toEqual([true, true]);
    },
  );

  test("a blob from memory replaces none, and needs its buffer", async () => {
    const { store, id } = await newBuffer();
    const facts = { contentMd5: md5Of(Buffer.from("x")), metadata: {} };
    await store.put(id, "00/000", streamOf("first"), { metadata: {} });
    const put = (bufferId: string) => store.putWhole(bufferId, "00/000", Buffer.from("x"), facts);
    await expect(put(id)).rejects.toMatchObject({ code: "UnauthorizedBlobOverwrite" });
    await expect(put(`x${id}`)).rejects.toMatchObject({ code: "ContainerNotFound" });
    await expect(store.getWhole(id, "00/001", (size) => Buffer.alloc(size))).rejects.toMatchObject({
      code: "BlobNotFound",
    });
    await expect(store.getWhole(`x${id}`, "00/000", (size) => Buffer.alloc(size))).rejects.toMatchObject({
      code: "ContainerNotFound",
    });
    expect((await bytesOf(store, id, "00/000")).toString()).toBe("first");
  });

  test("deleting removes a buffer with all blobs, and deleting again is harmless", async () => {
    const { store, id } = await newBuffer();
    for (let number = 100; number < 140; number++) await store.put(id, `00/${number}`, streamOf("x"), { metadata: {} });
    await store.delete(id);
    await store.delete(id);
    expect(await store.exists(id)).toBe(false);
    await expect(store.get(id, "00/100")).rejects.toMatchObject({ code: "ContainerNotFound" });
    await store.provision(id);
    expect(await pathsOf(store, id)).toEqual([]);
  });

  test.for(["..", "ab", "a/b", "x".repeat(64), "run-3-temp-abc", "a\u0000b", ""])(
    "the buffer name %j is refused",
    async (name) => {
      const store = await makeStore();
      await expect(store.provision(name)).rejects.toMatchObject({ code: "InvalidContainerName" });
      await expect(store.get(name, "00/000")).rejects.toMatchObject({ code: "InvalidContainerName" });
      await expect(store.delete(name)).rejects.toMatchObject({ code: "InvalidContainerName" });
    },
  );

  test.for(["../x", "..", ".", "a//b", "/a", "a/", "a/../b", "a-b", "a\u0000", "a/.", "", "x".repeat(300), "ä"])(
    "the blob name %j is refused",
    async (path) => {
      const { store, id } = await newBuffer();
      const refusal = { code: "InvalidBlobName" };
      await expect(store.get(id, path)).rejects.toMatchObject(refusal);
      await expect(store.put(id, path, streamOf("x"), { metadata: {} })).rejects.toMatchObject(refusal);
    },
  );

  test("waiting for a blob ends when it arrives, when the buffer is deleted, on timeout and on abort", async () => {
    const { store, id } = await newBuffer();
    const never = new AbortController();
    const ended: string[] = [];
    const wait = (path: string, signal: AbortSignal, waitMs = 20_000): void => {
      void store.waitFor(id, path, waitMs, signal).then(() => ended.push(path));
    };
    const given = new AbortController();
    wait("00/001", never.signal);
    wait("00/002", given.signal);
    wait("00/003", never.signal);
    wait("00/004", never.signal, 60);
    await eventually(() => ended.includes("00/004"));
    expect(ended.splice(0)).toEqual(["00/004"]);
    await store.put(id, "00/001", streamOf("x"), { metadata: {} });
    await eventually(() => ended.includes("00/001"));
    expect(ended).toEqual(["00/001"]);
    given.abort();
    await eventually(() => ended.includes("00/002"));
    await store.delete(id);
    await eventually(() => ended.includes("00/003"));
  });
}
