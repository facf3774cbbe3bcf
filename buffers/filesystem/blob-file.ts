import type { FileHandle } from "node:fs/promises";
import { CodedError } from "../../model/errors.ts";
import type { BlobHead } from "../../model/ports/store.ts";

/**
 * A blob is stored in one file, so that one `link` publishes its bytes and its metadata together: 4 bytes magic, the
 * length of the metadata (uint32, big endian), 16 bytes MD5, the metadata as JSON, the bytes. The size is not stored: a
 * truncated file is sent as it is, and its MD5 shows the loss.
 */
const MAGIC = "TYB1";
const FIXED_BYTES = 24;
/** One read gets all of a small blob. */
const PROBE_BYTES = 16 * 1024;
const MAX_METADATA_BYTES = 64 * 1024;

/** The header before a blob's bytes. Its length depends only on the metadata. */
export function headerOf(metadata: Record<string, string>, md5: Uint8Array): Buffer {
  const json = Buffer.from(JSON.stringify(metadata));
  if (json.length > MAX_METADATA_BYTES) throw new CodedError("InvalidInput", "The metadata of a blob is too long");
  const header = Buffer.alloc(FIXED_BYTES + json.length);
  header.write(MAGIC, 0, "latin1");
  header.writeUInt32BE(json.length, 4);
  header.set(md5, 8);
  header.set(json, FIXED_BYTES);
  return header;
}

export interface BlobFile extends BlobHead {
  /** Offset of the blob's bytes in the file. */
  startsAt: number;
  /** The bytes themselves, if the first read got all of them. */
  bytes?: Buffer;
}

/** @throws CodedError Conflict when the file is damaged, which a retry would not fix. */
export async function readBlobFile(file: FileHandle, name: string): Promise<BlobFile> {
  const { size: fileBytes } = await file.stat();
  let probe = await readStart(file, PROBE_BYTES);
  const jsonBytes = probe.length >= FIXED_BYTES ? probe.readUInt32BE(4) : -1;
  if (probe.toString("latin1", 0, 4) !== MAGIC || jsonBytes < 0 || jsonBytes > MAX_METADATA_BYTES) throw damaged(name);
  const startsAt = FIXED_BYTES + jsonBytes;
  if (startsAt > probe.length) probe = await readStart(file, startsAt);
  const sizeBytes = fileBytes - startsAt;
  if (sizeBytes < 0) throw damaged(name);
  const found: BlobFile = {
    sizeBytes,
    contentMd5: probe.toString("base64", 8, FIXED_BYTES),
    metadata: parseMetadata(probe.toString("utf8", FIXED_BYTES, startsAt), name),
    startsAt,
  };
  if (probe.length >= fileBytes) found.bytes = probe.subarray(startsAt, fileBytes);
  return found;
}

/**
 * The bytes of `file` from `position` on; closes the file at the end. A piece is valid until the next one is asked for;
 * the one after it is read meanwhile.
 */
export async function* restOf(file: FileHandle, position: number): AsyncGenerator<Uint8Array, void> {
  let [current, other] = [takeBatch(), takeBatch()];
  const readInto = (batch: Buffer, at: number) => {
    const reading = file.read(batch, 0, batch.length, at);
    reading.catch(() => undefined); // Reported when the piece is asked for.
    return reading;
  };
  let reading = readInto(current, position);
  try {
    for (let at = position; ;) {
      const { bytesRead } = await reading;
      if (bytesRead === 0) return;
      at += bytesRead;
      reading = readInto(other, at);
      yield current.subarray(0, bytesRead);
      [current, other] = [other, current];
    }
  } finally {
    await reading.catch(() => undefined);
    giveBackBatch(current);
    giveBackBatch(other);
    await file.close();
  }
}

/** Fills `bytes` from `file`, starting at `position`. @throws Error when the file is too short */
export async function readRest(file: FileHandle, position: number, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) throw new Error("A stored blob lost its tail while it was read");
    done += bytesRead;
  }
}

async function readStart(file: FileHandle, bytes: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(bytes), 0, bytes, 0);
  return buffer.subarray(0, bytesRead);
}

function parseMetadata(json: string, name: string): Record<string, string> {
  try {
    return JSON.parse(json) as Record<string, string>; // Written by headerOf.
  } catch (err) {
    throw damaged(name, err);
  }
}

const damaged = (name: string, cause?: unknown): CodedError =>
  new CodedError("Conflict", `The stored blob '${name}' is damaged`, { cause });

/** Size of one read or write on the disk. */
const BATCH_BYTES = 256 * 1024;
/** Two for each blob in flight, for as many blobs as a busy client moves at once. */
const SPARE_BATCHES = 64;

const spare: Buffer[] = [];

/**
 * Reused memory for bytes in flight: with a new buffer for each piece, garbage collection outside the heap costs more
 * than the rest of a transfer.
 */
export const takeBatch = (): Buffer => spare.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES);

/** Takes back what {@link takeBatch} gave; the caller must not use it anymore. */
export function giveBackBatch(batch: Buffer): void {
  if (spare.length < SPARE_BATCHES) spare.push(batch);
}
