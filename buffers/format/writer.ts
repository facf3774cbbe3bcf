import { BlobHash } from "./blob-hash.ts";
import { blobPathOf, CHAIN_START, nextInChain, START_BLOB } from "./buffer-format.ts";
import { CodedError, messageOf, type ErrorCode } from "../../model/errors.ts";
import type { Blobs, BlobSource } from "./blobs.ts";
import { claimBuffer, endAsOwner, newWriterToken, putEndMark } from "./owner.ts";
import { unlessAborted } from "../../waiting/bounded.ts";
import { doubling, retry } from "../../waiting/retry.ts";

/** A user who cancels should not wait longer for the mark. */
const END_MARK_MS = 3_000;
/** After any other failure: as long as a server can take to restart. */
const PATIENT_END_MARK_MS = 30_000;
/** Most bytes in upload, regardless of `dop`: a process must not grow by more than 150 MiB, garbage included. */
const IN_FLIGHT_BYTES = 40 * 1024 * 1024;
/** Between attempts to store a complete mark that must be stored. */
const MARK_PAUSES = doubling(50, 2000);
/** How often a flush checks for a free upload slot. */
const BUSY_FLUSH_MS = 50;

export interface WriteOptions {
  /** The token of a writer that others act for, as the server does for a run; by default a new one. */
  writer?: string;
  /** Repeats the complete mark until it is stored or the write is aborted; otherwise a failure is only a warning. */
  mustMark?: boolean;
  /** Parallel uploads. */
  dop?: number;
  blockSizeBytes?: number;
  /** Sends a partial block after this long; 0 waits for full blocks. */
  flushIntervalMs?: number;
  outageMs?: number;
  signal?: AbortSignal;
  /**
   * Awaited at the end of the source, while its bytes are being stored: the final blob, at which every reader stops, is
   * written only when this resolves. If it rejects, the write fails.
   */
  mayEnd?: () => Promise<void>;
  /** Bytes stored since the last call. */
  onProgress?: (bytes: number) => void;
  onRetry?: (reason: string) => void;
  onWarning?: (message: string) => void;
}

/** A stream that trickles this long is slow, and not about to end: then it is cut less and less often. */
const FREQUENT_FLUSHES = 60;
/** Flushes with the same pause after that. */
const FLUSHES_PER_STEP = 30;
/** Readers of a trickle must see it within a few seconds. */
const LONGEST_FLUSH_MS = 5000;

/**
 * How long bytes wait for a full block, after so many blocks in a row that were not full. Each block is an object, and a bucket takes
 * about a thousand a second from all its writers.
 */
export function flushPauseMs(intervalMs: number, partialBlocks: number): number {
  const steps = Math.max(0, Math.ceil((partialBlocks - FREQUENT_FLUSHES) / FLUSHES_PER_STEP));
  return Math.min(intervalMs * (1 + steps), Math.max(intervalMs, LONGEST_FLUSH_MS));
}

/** A second writer of a buffer must leave it as it is, without an end mark. */
const isTaken = (): CodedError =>
  new CodedError("Conflict", "The buffer has already been written to; write to a new one");

/**
 * Writes `source` to a buffer, block by block as it arrives, and completes the buffer. Holds at most `dop + 1` blocks in
 * memory. On failure or abort the buffer gets a failed end mark, unless another writer has begun it.
 * @throws CodedError Conflict when another writer has begun or ended the buffer; errors of the source
 */
export async function writeBuffer(
  source: AsyncIterable<Uint8Array>,
  target: BlobSource,
  options: WriteOptions = {},
): Promise<{ sizeBytes: number }> {
  const { blockSizeBytes = 4 * 1024 * 1024, flushIntervalMs = 1000, outageMs = 60_000 } = options;
  const { writer = newWriterToken() } = options;
  const dop = Math.min(options.dop ?? 16, Math.max(2, Math.floor(IN_FLIGHT_BYTES / blockSizeBytes)));
  const failing = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failing.signal]) : failing.signal;
  const blobs = target.open({ signal, outageMs, onRetry: options.onRetry });

  let isForeign = false;
  try {
    isForeign = (await blobs.exists(START_BLOB)) || !(await claimBuffer(blobs, writer));
    if (isForeign) throw isTaken();

    const blocks = cutBlocks({ blobs, dop, blockSizeBytes, flushIntervalMs, failing, onProgress: options.onProgress });
    const sizeBytes = await blocks.takeAll(source, signal, options.mayEnd);
    await complete(blobs, writer, signal, options);
    return { sizeBytes };
  } catch (err) {
    const isCanceled = options.signal?.aborted === true;
    const reason: unknown = isCanceled ? options.signal?.reason : failing.signal.aborted ? failing.signal.reason : err;
    if (!isForeign && !isInaccessible(reason)) {
      await markFailed(target, writer, isCanceled ? END_MARK_MS : PATIENT_END_MARK_MS);
    }
    throw reason;
  }
}

/** @throws CodedError Conflict when another writer has ended the buffer */
async function complete(
  blobs: Blobs,
  writer: string,
  signal: AbortSignal,
  { mustMark = false, onRetry, onWarning }: WriteOptions,
): Promise<void> {
  let isOurs: boolean;
  try {
    isOurs = await retry(() => putEndMark(blobs, writer, "complete"), {
      pauses: MARK_PAUSES,
      passes: (err) => mustMark && !isInaccessible(err),
      signal,
      onRetry: (err) => onRetry?.(`The end mark could not be written: ${messageOf(err)}`),
    });
  } catch (err) {
    if (mustMark || signal.aborted) throw err;
    onWarning?.(`The end mark could not be written: ${messageOf(err)}`);
    return;
  }
  if (isOurs) return;
  throw new CodedError("Conflict", "Another writer has ended the buffer, so it is not whole; write to a new one");
}

/** A buffer that is gone, or to which access was refused, cannot be marked. */
const NO_ACCESS: ReadonlySet<ErrorCode> = new Set([
  "ContainerNotFound",
  "NotFound",
  "InvalidInput",
  "AuthenticationFailed",
  "AuthorizationPermissionMismatch",
]);
const isInaccessible = (reason: unknown): boolean => reason instanceof CodedError && NO_ACCESS.has(reason.code);

/**
 * Marks a buffer failed, as its writer, within a time limit; that of another writer is left alone. An error here must not
 * hide the original one.
 */
export async function markFailed(target: BlobSource, writer: string, withinMs = END_MARK_MS): Promise<void> {
  const blobs = target.open({ signal: AbortSignal.timeout(withinMs), outageMs: withinMs });
  await endAsOwner(blobs, writer, "failed").catch(() => false);
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
  const hash = new BlobHash();
  const spare: Buffer[] = [];
  const uploads = new Set<Promise<void>>();
  let block: Buffer | undefined;
  let filled = 0;
  let number = 0;
  let chained = Promise.resolve(CHAIN_START);
  let sizeBytes = 0;
  let lastBlockAt = Date.now();
  let partialBlocks = 0;
  let flushTimer: NodeJS.Timeout | undefined;

  /** The MD5 of a block and of all blocks up to it, with the block: its memory moves while it is hashed. */
  const chain = async (block: Buffer) => {
    const [{ bytes, md5 }, before] = await Promise.all([hash.take(block), chained]);
    return { bytes, labels: { md5, chain: nextInChain(before, md5) } };
  };

  const upload = (block: Buffer): void => {
    const path = blobPathOf(number++);
    lastBlockAt = Date.now();
    const chaining = chain(block);
    chained = chaining.then(({ labels }) => labels.chain);
    chained.catch(() => undefined); // Reported below.
    const done = chaining
      .then(async ({ bytes, labels }) => {
        if (!(await blobs.put(path, bytes, labels))) throw isTaken();
        if (bytes.byteLength === 0) return;
        spare.push(Buffer.from(bytes.buffer));
        onProgress?.(bytes.byteLength);
      })
      .catch((err: unknown) => failing.abort(err))
      .finally(() => uploads.delete(done));
    uploads.add(done);
  };

  const flush = (): void => {
    clearTimeout(flushTimer);
    flushTimer = undefined;
    if (!block || filled === 0) return;
    const bytes = block.subarray(0, filled);
    partialBlocks = filled < blockSizeBytes ? partialBlocks + 1 : 0;
    block = undefined;
    filled = 0;
    upload(bytes);
  };

  const flushSoon = (): void => {
    if (flushIntervalMs === 0 || flushTimer !== undefined) return;
    const isBusy = uploads.size >= dop;
    const dueMs = Math.max(
      isBusy ? BUSY_FLUSH_MS : 0,
      lastBlockAt + flushPauseMs(flushIntervalMs, partialBlocks) - Date.now(),
    );
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
    async takeAll(
      source: AsyncIterable<Uint8Array>,
      signal: AbortSignal,
      mayEnd: WriteOptions["mayEnd"],
    ): Promise<number> {
      const chunks = source[Symbol.asyncIterator]();
      try {
        for (;;) {
          const { value, done } = await unlessAborted(chunks.next(), signal);
          if (done) break;
          await take(value);
        }
        flush();
        if (mayEnd) await unlessAborted(mayEnd(), signal);
        upload(Buffer.alloc(0));
        await unlessAborted(Promise.all(uploads), signal);
        signal.throwIfAborted();
        return sizeBytes;
      } catch (err) {
        // Not awaited: a source that waits for input returns only after it arrives.
        void chunks.return?.().catch(() => undefined);
        throw err;
      } finally {
        clearTimeout(flushTimer);
        hash.close();
      }
    },
  };
}
