import {
  blobPathOf,
  CHAIN_START,
  END_BLOB,
  END_COMPLETE,
  END_FAILED,
  md5Of,
  nextInChain,
  START_BLOB,
  START_CONTENT,
} from "./buffer-format.ts";
import { CodedError, messageOf } from "../../model/errors.ts";
import type { Blobs, BlobSource } from "./blobs.ts";
import { unlessAborted } from "../../waiting/bounded.ts";

/** A user who cancels should not wait longer for the mark. */
const END_MARK_MS = 3_000;
/** After any other failure: as long as a server can take to restart. */
const PATIENT_END_MARK_MS = 30_000;
/** Most bytes in upload, regardless of `dop`: a process must not grow by more than 150 MiB, garbage included. */
const IN_FLIGHT_BYTES = 40 * 1024 * 1024;
/** How often a flush checks for a free upload slot. */
const BUSY_FLUSH_MS = 50;

export interface WriteOptions {
  /** Parallel uploads. */
  dop?: number;
  blockSizeBytes?: number;
  /** Sends a partial block after this long; 0 waits for full blocks. */
  flushIntervalMs?: number;
  outageMs?: number;
  signal?: AbortSignal;
  /** Bytes stored since the last call. */
  onProgress?: (bytes: number) => void;
  onRetry?: (reason: string) => void;
  onWarning?: (message: string) => void;
}

/** A second writer of a buffer must leave it as it is, without an end mark. */
const isTaken = (): CodedError =>
  new CodedError("Conflict", "The buffer has already been written to; write to a new one");

/**
 * Writes `source` to a buffer, block by block as it arrives, and completes the buffer. Holds at most `dop + 1` blocks in
 * memory. On failure or abort the buffer gets a failed end mark, unless another writer has written it.
 * @throws CodedError Conflict when the buffer has already been written; errors of the source
 */
export async function writeBuffer(
  source: AsyncIterable<Uint8Array>,
  target: BlobSource,
  options: WriteOptions = {},
): Promise<{ sizeBytes: number }> {
  const { blockSizeBytes = 4 * 1024 * 1024, flushIntervalMs = 1000, outageMs = 60_000 } = options;
  const dop = Math.min(options.dop ?? 16, Math.max(2, Math.floor(IN_FLIGHT_BYTES / blockSizeBytes)));
  const failing = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failing.signal]) : failing.signal;
  const blobs = target.open({ signal, outageMs, onRetry: options.onRetry });

  try {
    if (await blobs.exists(START_BLOB)) throw isTaken();
    const start = Buffer.from(START_CONTENT);
    if (!(await blobs.put(START_BLOB, start, md5Of(start)))) throw isTaken();

    const blocks = cutBlocks({ blobs, dop, blockSizeBytes, flushIntervalMs, failing, onProgress: options.onProgress });
    const sizeBytes = await blocks.takeAll(source, signal);
    const end = Buffer.from(END_COMPLETE);
    try {
      const isOurs = await blobs.put(END_BLOB, end, md5Of(end));
      if (!isOurs) options.onWarning?.("Another writer gave the buffer a different end mark");
    } catch (err) {
      if (signal.aborted) throw err;
      options.onWarning?.(`The end mark could not be written: ${messageOf(err)}`);
    }
    return { sizeBytes };
  } catch (err) {
    const isCanceled = options.signal?.aborted === true;
    const reason: unknown = isCanceled ? options.signal?.reason : failing.signal.aborted ? failing.signal.reason : err;
    if (!isPointless(reason)) await markFailed(target, isCanceled ? END_MARK_MS : PATIENT_END_MARK_MS);
    throw reason;
  }
}

/** Another writer's buffer must not be marked, and an inaccessible one cannot be. */
const isPointless = (reason: unknown): boolean =>
  reason instanceof CodedError &&
  (reason.code === "Conflict" ||
    reason.code === "ContainerNotFound" ||
    reason.code === "AuthenticationFailed" ||
    reason.code === "AuthorizationPermissionMismatch");

/** Writes the failed end mark, with its own time limit; an error here must not hide the original one. */
export async function markFailed(target: BlobSource, withinMs = END_MARK_MS): Promise<void> {
  const end = Buffer.from(END_FAILED);
  const blobs = target.open({ signal: AbortSignal.timeout(withinMs), outageMs: withinMs });
  await blobs.put(END_BLOB, end, md5Of(end)).catch(() => false);
}

interface Cutting {
  blobs: Blobs;
  dop: number;
  blockSizeBytes: number;
  flushIntervalMs: number;
  failing: AbortController;
  onProgress?: ((bytes: number) => void) | undefined;
}

/** Cuts a stream into blocks, chains them in order and uploads them in parallel. */
function cutBlocks({ blobs, dop, blockSizeBytes, flushIntervalMs, failing, onProgress }: Cutting) {
  const spare: Buffer[] = [];
  const uploads = new Set<Promise<void>>();
  let block: Buffer | undefined;
  let filled = 0;
  let number = 0;
  let chain = CHAIN_START;
  let sizeBytes = 0;
  let lastBlockAt = Date.now();
  let flushTimer: NodeJS.Timeout | undefined;

  const upload = (bytes: Uint8Array, owner: Buffer | undefined): void => {
    const md5 = md5Of(bytes);
    chain = nextInChain(chain, md5);
    const link = chain;
    const path = blobPathOf(number++);
    lastBlockAt = Date.now();
    const done = blobs
      .put(path, bytes, md5, link)
      .then((stored) => {
        if (!stored) throw isTaken();
        if (owner) spare.push(owner);
        if (bytes.byteLength > 0) onProgress?.(bytes.byteLength);
        return undefined;
      })
      .catch((err: unknown) => failing.abort(err))
      .finally(() => uploads.delete(done));
    uploads.add(done);
  };

  const flush = (): void => {
    clearTimeout(flushTimer);
    flushTimer = undefined;
    if (!block || filled === 0) return;
    const full = block;
    const bytes = full.subarray(0, filled);
    block = undefined;
    filled = 0;
    upload(bytes, full);
  };

  const flushSoon = (): void => {
    if (flushIntervalMs === 0 || flushTimer !== undefined) return;
    const isBusy = uploads.size >= dop;
    const dueMs = Math.max(isBusy ? BUSY_FLUSH_MS : 0, lastBlockAt + flushIntervalMs - Date.now());
    flushTimer = setTimeout(() => {
      flushTimer = undefined;
      // With every slot in use the block keeps growing; try again soon.
      if (uploads.size < dop) flush();
      else flushSoon();
    }, dueMs);
  };

  const take = async (chunk: Uint8Array): Promise<void> => {
    sizeBytes += chunk.byteLength;
    for (let at = 0; at < chunk.byteLength;) {
      block ??= spare.pop() ?? Buffer.allocUnsafeSlow(blockSizeBytes);
      const part = chunk.subarray(at, at + blockSizeBytes - filled);
      block.set(part, filled);
      filled += part.byteLength;
      at += part.byteLength;
      if (filled === blockSizeBytes) {
        while (uploads.size >= dop) await Promise.race(uploads);
        failing.signal.throwIfAborted();
        flush();
      }
    }
    if (filled > 0) flushSoon();
  };

  return {
    async takeAll(source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<number> {
      const chunks = source[Symbol.asyncIterator]();
      try {
        for (;;) {
          const { value, done } = await unlessAborted(chunks.next(), signal);
          if (done) break;
          await take(value);
        }
        flush();
        upload(Buffer.alloc(0), undefined);
        await unlessAborted(Promise.all(uploads), signal);
        signal.throwIfAborted();
        return sizeBytes;
      } catch (err) {
        // Not awaited: a source that waits for input returns only after it arrives.
        void chunks.return?.().catch(() => undefined);
        throw err;
      } finally {
        clearTimeout(flushTimer);
      }
    },
  };
}
