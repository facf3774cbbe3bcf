import { createHash, randomBytes } from "node:crypto";
import { readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blobPathOf, START_BLOB } from "../../buffers/format/buffer-format.ts";
import { fromServer, fromUrl } from "../../buffers/access/access.ts";
import { blobsOver } from "../../buffers/access/blob-client.ts";
import { readBuffer, type ReadOptions } from "../../buffers/format/reader.ts";
import { writeBuffer, type WriteOptions } from "../../buffers/format/writer.ts";
import { startDataPlane, type TestDataPlane } from "../data-plane.ts";
import { eventually } from "../eventually.ts";

let plane: TestDataPlane;
beforeAll(async () => {
  plane = await startDataPlane();
});
afterAll(async () => {
  await plane.close();
});

const writeTo = (id: string, source: AsyncIterable<Uint8Array>, options?: WriteOptions) =>
  writeBuffer(source, blobsOver(fromUrl(plane.urlOf(id, true))), options);

/** What has been read so far, and the reading. */
function read(id: string, options?: ReadOptions): { got: () => Buffer; done: Promise<Buffer> } {
  const chunks: Buffer[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, next) {
      chunks.push(Buffer.from(chunk));
      next();
    },
  });
  const got = (): Buffer => Buffer.concat(chunks);
  const done = readBuffer(blobsOver(fromUrl(plane.urlOf(id, false))), sink, options).then(got);
  done.catch(() => undefined);
  return { got, done };
}

const bytesOf = (text: string): Readable => Readable.from([Buffer.from(text)]);
const sha = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
/** The file in which the store keeps a blob. */
const fileOf = (id: string, path: string): string => join(plane.dir, "buffers", id, path.replaceAll("/", "-"));

describe("a buffer", () => {
  test.each([
    ["nothing", 0, 1024],
    ["less than a block", 10, 1024],
    ["exactly one block", 1024, 1024],
    ["exactly two blocks", 2048, 1024],
    ["many blocks and a rest", 100_001, 1024],
    ["more blobs than one folder level of names", 4100, 1],
  ])(
    "of %s comes back identical",
    async (_name, sizeBytes, blockSizeBytes) => {
      const id = await plane.newBuffer();
      const bytes = randomBytes(sizeBytes);
      await writeTo(id, Readable.from([bytes.subarray(0, 700), bytes.subarray(700)]), { blockSizeBytes });
      expect(sha(await read(id).done)).toBe(sha(bytes));
      // Each blob is brought to the disk; thousands of them take their time on a busy one.
    },
    120_000,
  );

  test("has the blobs and hashes of the format's test vector", async () => {
    const id = await plane.newBuffer();
    await writeTo(id, bytesOf("Hello"));
    const heads = await Promise.all(
      [".bufferstart", "00/000", "00/001", ".bufferend"].map((path) => plane.store.head(id, path)),
    );
    expect(heads.map(({ contentMd5, metadata }) => [contentMd5, metadata["cumulative_hash_chain"]])).toEqual([
      ["jRl6v+tdX5RbfseHVtVXDw==", undefined],
      ["ixqZU8RhEpaoJ6v4xHgE1w==", "Be2sTc2k0VLW0/rZazR8uFCREuD5k1d9OtCAk14ns4U="],
      ["1B2M2Y8AsgTpgAmY7PhCfg==", "LV4PrI5mIT9mYkXErCiaIwlu8B8xxyHjH0UKfSKNt2w="],
      ["dDGK6tOTr1krU6jOyYJ/Rw==", undefined],
    ]);
  });

  test("can be read before it is written, and its bytes come while it is written", async () => {
    const id = await plane.newBuffer();
    const reading = read(id);
    const source = new PassThrough();
    const writing = writeTo(id, source, { flushIntervalMs: 100 });
    source.write("first");
    await eventually(() => reading.got().toString() === "first", { withinMs: 3000 });
    source.end(" second");
    await writing;
    expect((await reading.done).toString()).toBe("first second");
  });

  test("takes one writer; a second one fails and does it no harm", async () => {
    const id = await plane.newBuffer();
    const source = new PassThrough();
    const first = writeTo(id, source);
    source.write("mine");
    await eventually(() => plane.store.head(id, ".bufferstart"));
    await expect(writeTo(id, bytesOf("theirs"))).rejects.toThrow("already been written");
    source.end();
    await first;
    expect((await read(id).done).toString()).toBe("mine");
  });

  test("of two writers at the same moment exactly one wins", async () => {
    const id = await plane.newBuffer();
    const results = await Promise.allSettled(["one", "two", "three"].map((text) => writeTo(id, bytesOf(text))));
    const winners = results.filter(({ status }) => status === "fulfilled");
    expect(winners.length).toBe(1);
    const winner = ["one", "two", "three"][results.findIndex(({ status }) => status === "fulfilled")];
    expect((await read(id).done).toString()).toBe(winner);
  });

  test("whose source breaks is marked failed, and its readers end", async () => {
    const id = await plane.newBuffer();
    const reading = read(id);
    async function* breaking(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("part");
      throw new Error("the input broke");
    }
    await expect(writeTo(id, breaking())).rejects.toThrow("the input broke");
    await expect(reading.done).rejects.toThrow("the buffer is in a permanently failed state");
  });

  test("whose writer could not even start is marked failed", async () => {
    const id = await plane.newBuffer();
    await writeFile(fileOf(id, ".bufferstart"), "damaged");
    await expect(writeTo(id, bytesOf("x"))).rejects.toThrow("damaged in the store");
    expect((await plane.store.head(id, ".bufferend")).sizeBytes).toBe('{"status":"failed"}'.length);
  });

  test("whose writer is aborted while it waits for input is marked failed", async () => {
    const id = await plane.newBuffer();
    const abort = new AbortController();
    const writing = writeTo(id, new PassThrough(), { signal: abort.signal });
    await eventually(() => plane.store.head(id, ".bufferstart"));
    abort.abort(new Error("Canceling"));
    await expect(writing).rejects.toThrow("Canceling");
    await expect(read(id).done).rejects.toThrow("permanently failed");
  });
});

describe("what is not whole is never short data", () => {
  const damage = async (id: string, path: string, change: (file: Buffer) => Buffer): Promise<void> => {
    const file = fileOf(id, path);
    const bytes = await readFile(file);
    await rm(file);
    await writeFile(file, change(bytes));
  };
  const flipLast = (file: Buffer): Buffer => {
    const changed = Buffer.from(file);
    const last = changed.byteLength - 1;
    changed[last] = (changed[last] ?? 0) ^ 1;
    return changed;
  };

  test.each([
    ["a flipped bit in a blob", (id: string) => damage(id, blobPathOf(1), flipLast)],
    ["a truncated blob", (id: string) => damage(id, blobPathOf(1), (file) => file.subarray(0, -1))],
    ["a missing blob", (id: string) => rm(fileOf(id, blobPathOf(1)))],
    [
      "a blob in another's place",
      async (id: string) =>
        damage(id, blobPathOf(1), () => Buffer.alloc(0)).then(async () =>
          writeFile(fileOf(id, blobPathOf(1)), await readFile(fileOf(id, blobPathOf(2)))),
        ),
    ],
    [
      "an empty blob in the middle",
      async (id: string) => {
        await rm(fileOf(id, blobPathOf(1)));
        await plane.store.put(id, blobPathOf(1), Readable.from([]), { metadata: { cumulative_hash_chain: "x" } });
      },
    ],
    ["a missing start", (id: string) => rm(fileOf(id, START_BLOB))],
    ["a missing end of the data", (id: string) => rm(fileOf(id, blobPathOf(3)))],
  ])("%s is an error", async (_name, harm) => {
    const id = await plane.newBuffer();
    await writeTo(id, bytesOf("aaaabbbbcccc"), { blockSizeBytes: 4 });
    await harm(id);
    await expect(read(id, { outageMs: 500 }).done).rejects.toThrow(/MD5 mismatch|hash chain mismatch|is missing/);
  });

  test("a buffer that does not exist is said to be so", async () => {
    await expect(read("aaaaaaaaaaaaaaaaaaaaaaaaaa").done).rejects.toThrow("the buffer does not exist");
    await expect(writeTo("aaaaaaaaaaaaaaaaaaaaaaaaaa", bytesOf("x"))).rejects.toThrow("the buffer does not exist");
  });
});

describe("access", () => {
  test("that expires in mid-stream is renewed once for all requests", async () => {
    const id = await plane.newBuffer();
    let asked = 0;
    const access = blobsOver(fromServer(async () => plane.urlOf(id, true, asked++ === 0 ? 1 : 3600)));
    const source = new PassThrough();
    const writing = writeBuffer(source, access, { flushIntervalMs: 50, blockSizeBytes: 4 });
    source.write("early");
    await sleep(3000);
    source.end("late and later");
    await writing;
    expect(asked).toBe(2);
    expect((await read(id).done).toString()).toBe("earlylate and later");
  });

  test("by a read-only URL does not write", async () => {
    const id = await plane.newBuffer();
    const access = blobsOver(fromUrl(plane.urlOf(id, false)));
    await expect(writeBuffer(bytesOf("x"), access)).rejects.toThrow("does not allow");
  });

  test("by a tampered URL is refused", async () => {
    const id = await plane.newBuffer();
    const access = blobsOver(fromUrl(plane.urlOf(id, false).replace("sp=r", "sp=cr")));
    await expect(writeBuffer(bytesOf("x"), access)).rejects.toThrow("invalid access URL");
  });
});

test("a data plane that is away for a while loses nothing", async () => {
  const id = await plane.newBuffer();
  const bytes = randomBytes(300_000);
  const source = new PassThrough();
  const writing = writeTo(id, source, { blockSizeBytes: 10_000 });
  const reading = read(id);
  source.write(bytes.subarray(0, 100_000));
  await eventually(() => reading.got().byteLength === 100_000);
  await plane.stop();
  source.end(bytes.subarray(100_000));
  await sleep(500);
  await plane.listen();
  await writing;
  expect(sha(await reading.done)).toBe(sha(bytes));
});

test("a slow sink holds the reader back, so that little is fetched ahead", async () => {
  const id = await plane.newBuffer();
  const blockSizeBytes = 4 * 1024 * 1024;
  const bytes = randomBytes(blockSizeBytes * 40);
  await writeTo(id, Readable.from([bytes]), { blockSizeBytes });
  let asked = 0;
  const counting = blobsOver(fromServer(async () => plane.urlOf(id, false)));
  const abort = new AbortController();
  const stuck = new Writable({ highWaterMark: 1, write: () => undefined });
  const done = readBuffer(counting, stuck, { signal: abort.signal, onProgress: () => (asked += 1) });
  await sleep(1500);
  expect(asked).toBe(0);
  expect(process.memoryUsage().arrayBuffers).toBeLessThan(bytes.byteLength + 120 * 1024 * 1024);
  abort.abort();
  await expect(done).rejects.toThrow("aborted");
});

test("a sink that fails ends the reading with its error", async () => {
  const id = await plane.newBuffer();
  await writeTo(id, bytesOf("x"));
  const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error("EPIPE")) });
  await expect(readBuffer(blobsOver(fromUrl(plane.urlOf(id, false))), broken)).rejects.toThrow("EPIPE");
});

test("a trickle is seen by a reader soon after each flush", async () => {
  const id = await plane.newBuffer();
  const source = new PassThrough();
  const writing = writeTo(id, source, { flushIntervalMs: 100 });
  const reading = read(id);
  for (const text of ["a", "ab", "abc"]) {
    source.write(text.slice(-1));
    await eventually(() => reading.got().toString() === text, { withinMs: 1000 });
  }
  source.end();
  await writing;
  expect((await reading.done).toString()).toBe("abc");
});

test("nothing half-written stays behind in the store", async () => {
  expect(await readdir(join(plane.dir, "buffers", "-passage"))).toEqual([]);
});

test("a given URL of a local socket that nobody listens on fails at once", async () => {
  const gone = blobsOver(fromUrl(`http+unix://${join(plane.dir, "gone.sock")}:/buffer?sig=x`));
  await expect(readBuffer(gone, new Writable())).rejects.toThrow(/^The data plane does not answer: .*ENOENT/);
  await expect(writeBuffer(bytesOf("x"), gone)).rejects.toThrow(/^The data plane does not answer: .*ENOENT/);
});
