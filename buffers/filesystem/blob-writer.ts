import { createHash } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";
import type { Readable } from "node:stream";
import { CodedError } from "../../model/errors.ts";
import type { BlobHead } from "../../model/ports/store.ts";
import { giveBackBatch, headerOf, takeBatch } from "./blob-file.ts";

/**
 * Writes a whole blob file, which is durable on return. It uses two batches of memory: one is filled while the other is
 * written. Chunks from the network are copied there: if they were held until written, each would outlive the young
 * generation.
 * @throws CodedError Md5Mismatch, and any error of `body`.
 */
export async function writeBlobFile(
  path: string,
  body: Readable,
  expect: { contentMd5?: string; metadata: Record<string, string> },
): Promise<BlobHead> {
  const file = await open(path, "wx", 0o600);
  let pending: Promise<void> = Promise.resolve();
  try {
    const startsAt = headerOf(expect.metadata, new Uint8Array(16)).length;
    const hash = createHash("md5");
    let position = startsAt;
    let batch = takeBatch();
    let filled = 0;
    const writeBatch = async (full: Buffer, at: number): Promise<void> => {
      await writeAll(file, [full], at);
      giveBackBatch(full);
    };
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      hash.update(chunk);
      for (let at = 0; at < chunk.length;) {
        const part = chunk.subarray(at, at + batch.length - filled);
        batch.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled < batch.length) break;
        await pending;
        pending = writeBatch(batch, position);
        pending.catch(() => {}); // Reported by the next await; the next chunk can take long to arrive.
        position += filled;
        batch = takeBatch();
        filled = 0;
      }
    }
    await pending;
    const md5 = hash.digest();
    const contentMd5 = md5.toString("base64");
    if (expect.contentMd5 !== undefined && expect.contentMd5 !== contentMd5) {
      throw new CodedError("Md5Mismatch", `The bytes have the MD5 '${contentMd5}', not '${expect.contentMd5}'`);
    }
    const header = headerOf(expect.metadata, md5);
    const rest = batch.subarray(0, filled);
    if (position === startsAt) {
      await writeAll(file, [header, rest], 0);
    } else {
      await writeAll(file, [rest], position);
      await writeAll(file, [header], 0);
    }
    giveBackBatch(batch);
    await file.datasync();
    return { sizeBytes: position + filled - startsAt, contentMd5, metadata: expect.metadata };
  } finally {
    await pending.catch(() => {});
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
