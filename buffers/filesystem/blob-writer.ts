import { open, type FileHandle } from "node:fs/promises";
import type { Readable } from "node:stream";
import { CodedError } from "../../model/errors.ts";
import type { BlobHead } from "../../model/ports/store.ts";
import { BlobHash } from "../format/blob-hash.ts";
import { md5Of } from "../format/buffer-format.ts";
import { giveBackBatch, headerOf, takeBatch } from "./blob-file.ts";

/** Of all uploads of this process: a server has many at a time, and one core more than its main thread uses. */
const hash = new BlobHash();
/** Batches of an upload that are hashed and written while the next is filled: one in the thread, one on the disk. */
const BATCHES_BEHIND = 2;

/**
 * Writes a whole blob file, which is durable on return. Chunks from the network are copied into a few batches of memory: if they
 * were held until written, each would outlive the young generation. A blob of more than one batch is hashed in a thread.
 * @throws CodedError Md5Mismatch, and any error of `body`.
 */
export async function writeBlobFile(
  path: string,
  body: Readable,
  expect: { contentMd5?: string; metadata: Record<string, string> },
): Promise<BlobHead> {
  const file = await open(path, "wx", 0o600);
  const startsAt = headerOf(expect.metadata, new Uint8Array(16)).length;
  /** Of the batches behind, the oldest first. */
  const behind: Promise<void>[] = [];
  const pieces = hash.pieces();
  try {
    let position = startsAt;
    let batch = takeBatch();
    let filled = 0;
    const write = async (full: Buffer, at: number): Promise<void> => {
      const { bytes } = await pieces.take(full, false);
      await writeAll(file, [bytes], at);
      giveBackBatch(bytes);
    };
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      for (let at = 0; at < chunk.length;) {
        const part = chunk.subarray(at, at + batch.length - filled);
        batch.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled < batch.length) break;
        if (behind.length === BATCHES_BEHIND) await behind.shift();
        const writing = write(batch, position);
        writing.catch(() => {}); // Reported by the next await; the next chunk can take long to arrive.
        behind.push(writing);
        position += filled;
        batch = takeBatch();
        filled = 0;
      }
    }
    const isSmall = position === startsAt;
    const rest = batch.subarray(0, filled);
    const last = isSmall ? { bytes: rest, md5: md5Of(rest) } : await pieces.take(rest, true);
    await Promise.all(behind);
    const { bytes, md5: contentMd5 } = last;
    if (expect.contentMd5 !== undefined && expect.contentMd5 !== contentMd5) {
      throw new CodedError("Md5Mismatch", `The bytes have the MD5 '${contentMd5}', not '${expect.contentMd5}'`);
    }
    const header = headerOf(expect.metadata, Buffer.from(contentMd5, "base64"));
    if (isSmall) {
      await writeAll(file, [header, bytes], 0);
    } else {
      await writeAll(file, [bytes], position);
      await writeAll(file, [header], 0);
    }
    giveBackBatch(Buffer.from(bytes.buffer));
    await file.datasync();
    return { sizeBytes: position + filled - startsAt, contentMd5, metadata: expect.metadata };
  } finally {
    pieces.drop();
    await Promise.allSettled(behind);
    await file.close();
  }
}

/** A nearly full disk accepts part of a write before it refuses. */
async function writeAll(file: FileHandle, parts: Uint8Array[], position: number): Promise<void> {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  if (total === 0) return;
  const { bytesWritten } = await file.writev(parts, position);
  let done = bytesWritten;
  if (done === total) return;
  const bytes = Buffer.concat(parts);
  while (done < total) done += (await file.write(bytes, done, total - done, position + done)).bytesWritten;
}

/** Writes a blob file whose bytes are all in memory; it is durable on return. */
export async function writeWholeBlob(
  path: string,
  bytes: Uint8Array,
  { contentMd5, metadata }: { contentMd5: string; metadata: Record<string, string> },
): Promise<BlobHead> {
  const file = await open(path, "wx", 0o600);
  try {
    await writeAll(file, [headerOf(metadata, Buffer.from(contentMd5, "base64")), bytes], 0);
    await file.datasync();
    return { sizeBytes: bytes.byteLength, contentMd5, metadata };
  } finally {
    await file.close();
  }
}
