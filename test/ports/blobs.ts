import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { BlobSource } from "../../buffers/format/blobs.ts";
import { md5Of } from "../../buffers/format/buffer-format.ts";

/** A new buffer, and the access to its blobs under test. */
export interface BlobsUnderTest {
  source: BlobSource;
  /** Truncates the stored blob. */
  damage: (path: string) => Promise<void>;
}

const START = ".bufferstart";
const TEXT = Buffer.from("some bytes");
const OTHER = Buffer.from("other bytes");

/** The guarantees that readers and writers of the format rely on, for every kind of access to blobs. */
export function testBlobs(makeBuffer: () => Promise<BlobsUnderTest>, missing: () => BlobSource): void {
  const open = (source: BlobSource, signal = new AbortController().signal) => source.open({ signal, outageMs: 1000 });

  test.for([0, 10, 16_000, 16_384, 700_000])("a blob of %d bytes comes back with its MD5 and chain", async (size) => {
    const blobs = open((await makeBuffer()).source);
    const bytes = randomBytes(size);
    expect(await blobs.put("00/000", bytes, { md5: md5Of(bytes), chain: "chain=" })).toBe(true);
    const got = await blobs.get("00/000", 0);
    expect(got?.bytes.equals(bytes)).toBe(true);
    expect(got).toMatchObject({ md5: md5Of(bytes), chain: "chain=", wasHeld: false });
  });

  test("a blob is put in the reader's memory", async () => {
    const { source } = await makeBuffer();
    const memory = Buffer.alloc(TEXT.length);
    const signal = new AbortController().signal;
    const blobs = source.open({ signal, outageMs: 1000, allocate: () => memory });
    await blobs.put("00/000", TEXT, { md5: md5Of(TEXT) });
    expect((await blobs.get("00/000", 0))?.bytes).toBe(memory);
    expect(memory.equals(TEXT)).toBe(true);
  });

  test("a blob is stored once: the same again is fine, a different one is not", async () => {
    const blobs = open((await makeBuffer()).source);
    expect(await blobs.exists("00/000")).toBe(false);
    const put = (bytes: Buffer, chain: string) => blobs.put("00/000", bytes, { md5: md5Of(bytes), chain });
    expect(await put(TEXT, "a")).toBe(true);
    expect(await blobs.exists("00/000")).toBe(true);
    expect(await put(TEXT, "a")).toBe(true);
    expect(await put(TEXT, "b")).toBe(false);
    expect(await put(OTHER, "a")).toBe(false);
  });

  test("a start belongs to the writer who made it: the same again is fine, that of another writer never is", async () => {
    const blobs = open((await makeBuffer()).source);
    const put = (writer?: string) =>
      blobs.put(START, TEXT, { md5: md5Of(TEXT), ...(writer !== undefined && { writer }) });
    expect(await put("a")).toBe(true);
    expect([await put("a"), await put("b"), await put()]).toEqual([true, false, false]);
  });

  test("the start of a client that names no writer is not ours", async () => {
    const { source } = await makeBuffer();
    const put = (writer: object) => open(source).put(START, TEXT, { md5: md5Of(TEXT), ...writer });
    expect([await put({}), await put({ writer: "a" })]).toEqual([true, false]);
  });

  test("a missing blob is waited for, but no longer than requested", async () => {
    const blobs = open((await makeBuffer()).source);
    expect(await blobs.get("00/000", 0)).toBe(undefined);
    expect(await blobs.get("00/000", 1)).toBe(undefined);
    const waiting = blobs.get("00/000", 20);
    await blobs.put("00/000", TEXT, { md5: md5Of(TEXT) });
    expect(await waiting).toMatchObject({ bytes: TEXT, wasHeld: true });
  });

  test("a wait ends with its own signal, and with the common one", async () => {
    const { source } = await makeBuffer();
    const [own, all] = [new AbortController(), new AbortController()];
    const blobs = open(source, all.signal);
    const first = blobs.get("00/000", 20, own.signal);
    const second = blobs.get("00/000", 20);
    own.abort();
    await expect(first).rejects.toThrow("aborted");
    all.abort();
    await expect(second).rejects.toThrow("aborted");
    await expect(blobs.put("00/000", TEXT, { md5: md5Of(TEXT) })).rejects.toThrow("aborted");
  });

  test("a truncated blob is never passed on", async () => {
    const { source, damage } = await makeBuffer();
    const blobs = open(source);
    const bytes = randomBytes(100_000);
    await blobs.put("00/000", bytes, { md5: md5Of(bytes) });
    await damage("00/000");
    await expect(blobs.get("00/000", 0)).rejects.toMatchObject({ code: "Md5Mismatch" });
  });

  test("a missing buffer is reported as missing", async () => {
    const blobs = open(missing());
    const refusal = { code: "ContainerNotFound" };
    await expect(blobs.get("00/000", 1)).rejects.toMatchObject(refusal);
    await expect(blobs.exists("00/000")).rejects.toMatchObject(refusal);
    await expect(blobs.put("00/000", TEXT, { md5: md5Of(TEXT) })).rejects.toMatchObject(refusal);
  });
}
