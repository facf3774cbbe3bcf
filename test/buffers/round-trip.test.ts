import { createHash, randomBytes } from "node:crypto";
import { readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blobPathOf, START_BLOB } from "../../buffers/format/buffer-format.ts";
import { fromServer, fromUrl } from "../../buffers/access/access.ts";
import { blobsOver } from "../../buffers/access/blob-client.ts";
import type { BlobSource } from "../../buffers/format/blobs.ts";
import { readBuffer, type ReadOptions } from "../../buffers/format/reader.ts";
import { writeBuffer, type WriteOptions } from "../../buffers/format/writer.ts";
import { startDataPlane, type TestDataPlane } from "../data-plane.ts";
import { eventually, stays } from "../eventually.ts";

let plane: TestDataPlane;
beforeAll(async () => {
  plane = await startDataPlane();
});
afterAll(async () => {
  await plane.close();
});

const writeTo = (id: string, source: AsyncIterable<Uint8Array>, options?: WriteOptions) =>
  writeBuffer(source, blobsOver(fromUrl(plane.urlOf(id, true))), options);

/** The bytes read so far, and the reading. */
function read(id: string, options?: ReadOptions): { got: () => Buffer; done: Promise<Buffer> } {
  const chunks: Buffer[] = [];
  const got = (): Buffer => Buffer.concat(chunks);
  const readAll = async (): Promise<Buffer> => {
    const pieces = readBuffer(blobsOver(fromUrl(plane.urlOf(id, false))), { reuseMemory: true, ...options });
    for await (const piece of pieces) chunks.push(Buffer.from(piece));
    return got();
  };
  const done = readAll();
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
    ["many blocks and a remainder", 100_001, 1024],
    ["more blobs than one folder level of names", 4100, 1],
  ])(
    "of %s comes back identical",
    async (_name, sizeBytes, blockSizeBytes) => {
      const id = await plane.newBuffer();
      const bytes = randomBytes(sizeBytes);
      await writeTo(id, Readable.from([bytes.subarray(0, 700), bytes.subarray(700)]), { blockSizeBytes });
      expect(sha(await read(id).done)).toBe(sha(bytes));
      // Each blob is synced to the disk; thousands of them take long on a busy one.
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

  test("can be read before it is written, and its bytes arrive while it is written", async () => {
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

  test("accepts one writer; a second one fails and does no harm", async () => {
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

  test("has all its bytes, and no end, while its writer holds back the final blob", async () => {
    const id = await plane.newBuffer();
    const word = Promise.withResolvers<void>();
    const writing = writeTo(id, bytesOf("all"), { mayEnd: () => word.promise });
    const reading = read(id);
    let isOver = false;
    void reading.done.then(() => (isOver = true));
    await eventually(() => reading.got().toString() === "all");
    await stays(() => !isOver);
    word.resolve();
    expect((await reading.done).toString()).toBe("all");
    await writing;
  });

  test("whose final blob is refused is marked failed, and its readers end", async () => {
    const id = await plane.newBuffer();
    const reading = read(id);
    const refused = writeTo(id, bytesOf("a part"), { mayEnd: async () => Promise.reject(new Error("cut off")) });
    await expect(refused).rejects.toThrow("cut off");
    await expect(reading.done).rejects.toThrow("permanently failed");
  });

  test("whose writer could not start is marked failed", async () => {
    const id = await plane.newBuffer();
    const inner = blobsOver(fromUrl(plane.urlOf(id, true)));
    const broken: BlobSource = {
      open: (options) => ({ ...inner.open(options), exists: () => Promise.reject(new Error("no answer")) }),
    };
    await expect(writeBuffer(bytesOf("x"), broken)).rejects.toThrow("no answer");
    expect((await plane.store.head(id, ".bufferend")).sizeBytes).toBe('{"status":"failed"}'.length);
  });

  test("whose start cannot be read can be another writer's: it is left alone, and a reader gets an error", async () => {
    const id = await plane.newBuffer();
    await writeFile(fileOf(id, ".bufferstart"), "damaged");
    await expect(writeTo(id, bytesOf("x"))).rejects.toThrow("damaged in the store");
    await expect(plane.store.head(id, ".bufferend")).rejects.toMatchObject({ code: "BlobNotFound" });
    await expect(read(id).done).rejects.toThrow("damaged in the store");
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

describe("an incomplete buffer is never short data", () => {
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
      "a blob in place of another",
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

  test("a missing buffer is reported as missing", async () => {
    await expect(read("aaaaaaaaaaaaaaaaaaaaaaaaaa").done).rejects.toThrow("the buffer does not exist");
    await expect(writeTo("aaaaaaaaaaaaaaaaaaaaaaaaaa", bytesOf("x"))).rejects.toThrow("the buffer does not exist");
  });
});

describe("access", () => {
  test("that expires in midstream is renewed once for all requests", async () => {
    const id = await plane.newBuffer();
    const given: string[] = [];
    const access = blobsOver(
      fromServer(async () => {
        given.push(plane.urlOf(id, true, given.length === 0 ? 1 : 3600));
        return given.at(-1) ?? "";
      }),
    );
    const source = new PassThrough();
    const writing = writeBuffer(source, access, { flushIntervalMs: 50, blockSizeBytes: 4 });
    source.write("early");
    await eventually(() => given.length > 0);
    const first = blobsOver(fromUrl(given[0] ?? "")).open({ signal: new AbortController().signal, outageMs: 0 });
    await eventually(() =>
      first.exists(START_BLOB).then(
        () => false,
        (err: Error) => /invalid access URL/.test(err.message),
      ),
    );
    source.end("late and later");
    await writing;
    expect(given).toHaveLength(2);
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

test("a data plane outage loses nothing", async () => {
  const id = await plane.newBuffer();
  const bytes = randomBytes(300_000);
  const source = new PassThrough();
  let retries = 0;
  const writing = writeTo(id, source, { blockSizeBytes: 10_000, onRetry: () => (retries += 1) });
  const reading = read(id);
  source.write(bytes.subarray(0, 100_000));
  await eventually(() => reading.got().byteLength === 100_000);
  await plane.stop();
  source.end(bytes.subarray(100_000));
  await eventually(() => retries > 0);
  await plane.listen();
  await writing;
  expect(sha(await reading.done)).toBe(sha(bytes));
});

/** A source that counts the blobs that are requested. */
function counted(id: string): { source: BlobSource; requested: Set<string> } {
  const requested = new Set<string>();
  const inner = blobsOver(fromUrl(plane.urlOf(id, false)));
  const source: BlobSource = {
    open(options) {
      const blobs = inner.open(options);
      return { ...blobs, get: (path, ...rest) => (requested.add(path), blobs.get(path, ...rest)) };
    },
  };
  return { source, requested };
}

describe("a consumer", () => {
  const blockSizeBytes = 4 * 1024 * 1024;
  /** A buffer of 40 full blocks. */
  async function largeBuffer(): Promise<{ id: string; bytes: Buffer }> {
    const id = await plane.newBuffer();
    const bytes = randomBytes(blockSizeBytes * 40);
    await writeTo(id, Readable.from([bytes]), { blockSizeBytes });
    return { id, bytes };
  }

  test("that is slow holds the reader back, so that little is fetched ahead", async () => {
    const { id, bytes } = await largeBuffer();
    const { source, requested } = counted(id);
    const pieces = readBuffer(source)[Symbol.asyncIterator]();
    const chunks: Uint8Array[] = [];
    // By now the reader knows that the writer is ahead of it, and fetches as much ahead as it ever does.
    for (let n = 0; n < 10; n++) chunks.push((await pieces.next()).value as Uint8Array);
    const before = requested.size;
    await stays(() => requested.size === before);
    // Start and end marks, what was taken, and 16 MiB.
    expect(requested.size).toBeLessThanOrEqual(2 + 10 + 4);
    for (let next = await pieces.next(); !next.done; next = await pieces.next()) chunks.push(next.value);
    expect(sha(Buffer.concat(chunks))).toBe(sha(bytes));
  });

  test("that lets the memory be reused never sees a piece change while it has it", async () => {
    const { id, bytes } = await largeBuffer();
    let at = 0;
    for await (const piece of readBuffer(blobsOver(fromUrl(plane.urlOf(id, false))), { reuseMemory: true })) {
      const start = at;
      // Meanwhile the pieces that are fetched ahead arrive.
      await stays(() => bytes.compare(piece, 0, piece.length, start, start + piece.length) === 0, {
        looks: 3,
        everyMs: 2,
      });
      at += piece.length;
    }
    expect(at).toBe(bytes.length);
  });

  test("can otherwise keep every piece", async () => {
    const { id, bytes } = await largeBuffer();
    const kept = await Readable.from(readBuffer(blobsOver(fromUrl(plane.urlOf(id, false))))).toArray();
    expect(sha(Buffer.concat(kept as Uint8Array[]))).toBe(sha(bytes));
  });

  test("that stops early ends all requests", async () => {
    const id = await plane.newBuffer();
    const writing = new AbortController();
    const source = new PassThrough();
    const written = writeTo(id, source, { flushIntervalMs: 10, signal: writing.signal });
    source.write("first");
    const signals: AbortSignal[] = [];
    const inner = blobsOver(fromUrl(plane.urlOf(id, false)));
    const pieces = readBuffer({ open: (options) => (signals.push(options.signal), inner.open(options)) });
    for await (const piece of pieces) {
      expect(Buffer.from(piece).toString()).toBe("first");
      break;
    }
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(pieces.failed.aborted).toBe(false);
    source.end();
    await written;
  });

  test("that is busy with a piece learns at once that the writer has failed", async () => {
    const id = await plane.newBuffer();
    const writing = new AbortController();
    const source = new PassThrough();
    const written = writeTo(id, source, { flushIntervalMs: 10, signal: writing.signal });
    source.write("first");
    const pieces = readBuffer(blobsOver(fromUrl(plane.urlOf(id, false))));
    const iterator = pieces[Symbol.asyncIterator]();
    await iterator.next();
    writing.abort(new Error("Canceling"));
    await expect(written).rejects.toThrow("Canceling");
    await eventually(() => pieces.failed.aborted);
    expect(String(pieces.failed.reason)).toContain("permanently failed state");
    await expect(iterator.next()).rejects.toThrow("permanently failed state");
  });

  test("that aborts gets its own reason", async () => {
    const id = await plane.newBuffer();
    const abort = new AbortController();
    const reading = read(id, { signal: abort.signal });
    abort.abort(new Error("enough"));
    await expect(reading.done).rejects.toThrow("enough");
  });

  test("that has read everything gets no failure", async () => {
    const id = await plane.newBuffer();
    await writeTo(id, bytesOf("x"));
    const pieces = readBuffer(blobsOver(fromUrl(plane.urlOf(id, false))));
    for await (const _ of pieces);
    expect(pieces.failed.aborted).toBe(false);
  });
});

test("a trickle reaches a reader soon after each flush", async () => {
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

test("while the disk of a buffer is away its readers get the reason, and those that wait lose nothing", async () => {
  const id = await plane.newBuffer();
  await writeTo(id, bytesOf("abc"));
  const folder = join(plane.dir, "buffers");
  await rename(folder, `${folder}-away`);
  const reasons: string[] = [];
  const waiting = Readable.from(
    readBuffer(blobsOver(fromUrl(plane.urlOf(id, false))), { onRetry: (reason) => void reasons.push(reason) }),
  ).toArray();
  await expect(read(id, { outageMs: 0 }).done).rejects.toThrow(
    `The data plane does not answer: server is busy: The folder '${folder}' is missing; mount its disk`,
  );
  await eventually(() => reasons.some((reason) => reason.startsWith("server is busy: The folder")));
  await rename(`${folder}-away`, folder);
  expect(Buffer.concat((await waiting) as Buffer[]).toString()).toBe("abc");
});

test("no partial blob stays behind in the store", async () => {
  expect(await readdir(join(plane.dir, "buffers", "-passage"))).toEqual([]);
});

test("a given URL fails at once if nothing is listening on its local socket", async () => {
  const gone = blobsOver(fromUrl(`http+unix://${join(plane.dir, "gone.sock")}:/buffer?sig=x`));
  const reading = Readable.from(readBuffer(gone)).toArray();
  await expect(reading).rejects.toThrow(/^The data plane does not answer: .*ENOENT/);
  await expect(writeBuffer(bytesOf("x"), gone)).rejects.toThrow(/^The data plane does not answer: .*ENOENT/);
});
