import { Readable, Writable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fromUrl } from "../../../buffers/access/access.ts";
import { blobsOver } from "../../../buffers/access/blob-client.ts";
import type { BlobSource } from "../../../buffers/format/blobs.ts";
import { markFailed, writeBuffer } from "../../../buffers/format/writer.ts";
import { readInto } from "../../../cli/buffer/buffer-transfer.ts";
import { startDataPlane, type TestDataPlane } from "../../data-plane.ts";
import { eventually } from "../../eventually.ts";

let plane: TestDataPlane;
beforeAll(async () => {
  plane = await startDataPlane();
});
afterAll(() => plane?.close());

const access = (id: string): BlobSource => blobsOver(fromUrl(plane.urlOf(id, true)));
const noProgress = { signal: new AbortController().signal, onProgress: () => undefined };

/** A buffer whose writer has stored "first" and is waiting for more. */
async function openBuffer(): Promise<{ id: string; end: () => Promise<unknown> }> {
  const id = await plane.newBuffer();
  const source = new Readable({ read() {} });
  const writing = writeBuffer(source, access(id), { flushIntervalMs: 10, writer: "writer" });
  source.push("first");
  await eventually(() => plane.store.head(id, "00/000"));
  return { id, end: () => (source.push(null), writing.catch(() => undefined)) };
}

/** A stream whose reader takes nothing. */
const stuck = (): Writable => new Writable({ highWaterMark: 1, write: () => undefined }).on("error", () => {});

test("writes every byte and counts it, and does not end the stream", async () => {
  const id = await plane.newBuffer();
  await writeBuffer(Readable.from([Buffer.from("Hello")]), access(id));
  const chunks: Buffer[] = [];
  const stream = new Writable({ write: (chunk: Buffer, _encoding, next) => (chunks.push(Buffer.from(chunk)), next()) });
  let counted = 0;
  await readInto(stream, access(id), { ...noProgress, onProgress: (sizeBytes) => (counted += sizeBytes) });
  expect([Buffer.concat(chunks).toString(), counted, stream.writableEnded]).toEqual(["Hello", 5, false]);
});

test("a stream that fails ends the reading with its error", async () => {
  const id = await plane.newBuffer();
  await writeBuffer(Readable.from([Buffer.from("x")]), access(id));
  const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error("EPIPE")) });
  await expect(readInto(broken, access(id), noProgress)).rejects.toThrow("EPIPE");
});

test("a stream that fails while the writer is silent ends the reading with its error", async () => {
  const { id, end } = await openBuffer();
  const taken = Promise.withResolvers<void>();
  const stream = new Writable({ write: (_chunk, _encoding, next) => (next(), taken.resolve()) });
  const reading = readInto(stream, access(id), noProgress);
  await taken.promise;
  stream.destroy(new Error("EPIPE"));
  await expect(reading).rejects.toThrow("EPIPE");
  await end();
});

test("a writer that fails ends the reading although no one takes the bytes", async () => {
  const { id, end } = await openBuffer();
  const [reading] = await Promise.allSettled([
    readInto(stuck(), access(id), noProgress),
    markFailed(access(id), "writer"),
  ]);
  expect(reading).toMatchObject({ reason: { message: "the buffer is in a permanently failed state" } });
  await end();
});

test("an abort ends the reading although no one takes the bytes", async () => {
  const { id, end } = await openBuffer();
  const abort = new AbortController();
  const stream = stuck();
  const reading = readInto(stream, access(id), { ...noProgress, signal: abort.signal });
  await eventually(() => stream.writableLength > 0);
  abort.abort(new Error("enough"));
  await expect(reading).rejects.toThrow("enough");
  await end();
});
