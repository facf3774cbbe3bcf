import { createHash } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";
import type { Readable } from "node:stream";
import { CodedError } from "../model/errors.ts";
import type { BlobHead } from "../model/store.ts";
import { headerOf } from "./blob-file.ts";

/** A write call for every chunk of a socket would cost more than the bytes; this much of a blob is in memory. */
const BATCH_BYTES = 512 * 1024;

/**
 * Writes a whole blob file that is durable when this returns: hashing goes on while the batch before is being written.
 * @throws CodedError Md5Mismatch, and whatever ends `body` early.
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
    let batch: Uint8Array[] = [];
    let batchBytes = 0;
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      hash.update(chunk);
      batch.push(chunk);
      batchBytes += chunk.length;
      if (batchBytes < BATCH_BYTES) continue;
      await pending;
      pending = writeAll(file, batch, position);
      pending.catch(() => {}); // Reported by the next await; the chunk in between may be long in coming.
      position += batchBytes;
      batch = [];
      batchBytes = 0;
    }
    await pending;
    const md5 = hash.digest();
    const contentMd5 = md5.toString("base64");
    if (expect.contentMd5 !== undefined && expect.contentMd5 !== contentMd5) {
      throw new CodedError("Md5Mismatch", `The bytes have the MD5 '${contentMd5}', not '${expect.contentMd5}'`);
    }
    const header = headerOf(expect.metadata, md5);
    if (position === startsAt) {
      await writeAll(file, [header, ...batch], 0);
    } else {
      await writeAll(file, batch, position);
      await writeAll(file, [header], 0);
    }
    await file.datasync();
    return { sizeBytes: position + batchBytes - startsAt, contentMd5, metadata: expect.metadata };
  } finally {
    await pending.catch(() => {});
    await file.close();
  }
}

/** A nearly full disk takes a part of a write before it refuses. */
async function writeAll(file: FileHandle, parts: Uint8Array[], position: number): Promise<void> {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  if (total === 0) return;
  const { bytesWritten } = await file.writev(parts, position);
  let done = bytesWritten;
  if (done === total) return;
  const bytes = Buffer.concat(parts);
  while (done < total) done += (await file.write(bytes, done, total - done, position + done)).bytesWritten;
}
