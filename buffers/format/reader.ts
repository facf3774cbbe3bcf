import { setTimeout as sleep } from "node:timers/promises";
import { blobPathOf, CHAIN_START, END_BLOB, FORMAT_VERSION, nextInChain, START_BLOB } from "./buffer-format.ts";
import { CodedError } from "../../model/errors.ts";
import { BlobHash } from "./blob-hash.ts";
import type { Blobs, BlobSource, ReceivedBlob } from "./blobs.ts";
import { unlessAborted } from "../../waiting/bounded.ts";

/** How long our data plane holds a request for a blob that does not exist yet. */
const WAIT_SECONDS = 20;
/** Most bytes fetched ahead, regardless of `dop`: a process must not grow by more than 150 MiB, garbage included. */
const AHEAD_BYTES = 16 * 1024 * 1024;
const END_POLL_MS = 5_000;

export interface ReadOptions {
  /** Parallel downloads. */
  dop?: number;
  outageMs?: number;
  signal?: AbortSignal;
  /**
   * A piece is valid only until the next one is asked for; its memory then holds another. For consumers that are done
   * with each piece by then: new memory for each blob keeps the garbage collector as busy as the transfer itself.
   */
  reuseMemory?: boolean;
  onRetry?: (reason: string) => void;
  onWarning?: (message: string) => void;
}

/** The bytes of a buffer in order, each piece verified before it is handed out. They can be iterated once. */
export interface BufferReading extends AsyncIterable<Uint8Array> {
  /**
   * Aborted, with the reason, as soon as reading fails or is aborted. The end mark can report a failure while the
   * consumer is busy with a piece: a consumer that can be busy for long stops at this signal.
   */
  readonly failed: AbortSignal;
}

/**
 * Reads a buffer from its start to its verified end: iterating ends only there, and throws otherwise. A reader can start
 * before the writer; it waits for as long as the buffer has no end. Nothing is requested before the first piece is.
 * @throws CodedError Conflict `the buffer is in a permanently failed state`; Md5Mismatch; ContainerNotFound
 */
export function readBuffer(source: BlobSource, options: ReadOptions = {}): BufferReading {
  const failing = new AbortController();
  const failed = options.signal ? AbortSignal.any([options.signal, failing.signal]) : failing.signal;
  return { failed, [Symbol.asyncIterator]: () => piecesOf(source, options, failing, failed) };
}

async function* piecesOf(
  source: BlobSource,
  options: ReadOptions,
  failing: AbortController,
  failed: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const { dop = 32, outageMs = 60_000, reuseMemory = false } = options;
  const done = new AbortController();
  const signal = AbortSignal.any([failed, done.signal]);
  const spare = reuseMemory ? new SpareBuffers() : undefined;
  const hash = new BlobHash();
  const allocate = spare && ((sizeBytes: number): Buffer => spare.take(sizeBytes));
  const blobs = source.open({ signal, outageMs, allocate, hash, onRetry: options.onRetry });
  const fail = (err: unknown): void => {
    if (!done.signal.aborted) failing.abort(err);
  };
  const { fetch, watchEnd, checkStart } = openBlobs(blobs, signal, options.onWarning);
  // The end mark matters only if it reports a failure: a reader that has all the data does not wait for it.
  watchEnd().catch(fail);
  const startChecked = checkStart();
  startChecked.catch(fail);

  const ahead: Promise<ReceivedBlob>[] = [];
  let next = 0;
  let width = 2;
  let largest = 1;
  let chain = CHAIN_START;
  try {
    for (let number = 0; ; number++) {
      while (ahead.length < Math.min(width, dop, Math.max(2, Math.floor(AHEAD_BYTES / largest)))) {
        const fetching = fetch(blobPathOf(next++));
        // A request beyond the end fails; a failure before it is reported where the blob is awaited.
        fetching.catch(() => undefined);
        ahead.push(fetching);
      }
      const head = ahead.shift();
      if (!head) throw new Error("Nothing was fetched ahead");
      const { bytes, md5, chain: link, wasHeld } = await unlessAborted(head, failed);
      chain = nextInChain(chain, md5);
      if (link !== chain) {
        throw new CodedError("Md5Mismatch", `hash chain mismatch in blob '${blobPathOf(number)}'`);
      }
      if (number === 0) await unlessAborted(startChecked, failed);
      if (bytes.byteLength === 0) return;
      // A blob that was already there shows that the writer is ahead of us; one that was waited for, that it is not.
      width = wasHeld ? 2 : Math.min(width * 2, dop);
      largest = Math.max(largest, bytes.byteLength);
      yield bytes;
      failed.throwIfAborted();
      spare?.giveBack(bytes);
    }
  } catch (err) {
    fail(err);
    throw err;
  } finally {
    done.abort();
    hash.close();
  }
}

/** The blobs of one buffer, and what its end mark says about the missing ones. */
function openBlobs(blobs: Blobs, signal: AbortSignal, onWarning: ((message: string) => void) | undefined) {
  const ended = new AbortController();
  const waits = AbortSignal.any([signal, ended.signal]);
  // A missing blob is waited for until the end mark exists; after that it will never arrive.
  const fetch = async (path: string): Promise<ReceivedBlob> => {
    if (!ended.signal.aborted) {
      try {
        return await waitForBlob(blobs, path, waits);
      } catch (err) {
        if (!ended.signal.aborted || signal.aborted) throw err;
      }
    }
    const blob = await blobs.get(path, 0);
    if (!blob) throw new CodedError("BlobNotFound", `The buffer is incomplete: blob '${path}' is missing`);
    return blob;
  };
  return {
    fetch,
    watchEnd: async (): Promise<void> => {
      const status = statusOf((await waitForBlob(blobs, END_BLOB, signal, END_POLL_MS)).bytes);
      if (status === "failed") throw new CodedError("Conflict", "the buffer is in a permanently failed state");
      if (status !== "complete") onWarning?.(`The end mark has the unknown status '${status}'`);
      ended.abort();
    },
    checkStart: async (): Promise<void> => {
      const { version } = parse((await fetch(START_BLOB)).bytes);
      if (version !== FORMAT_VERSION) {
        throw new CodedError("InvalidInput", `The buffer has the unknown format '${String(version)}'`);
      }
    },
  };
}

/** Requests a blob until it exists: with held requests if the server supports them, otherwise at growing intervals. */
async function waitForBlob(blobs: Blobs, path: string, signal: AbortSignal, pollMs?: number): Promise<ReceivedBlob> {
  for (let tries = 1; ; tries++) {
    const askedAt = Date.now();
    const blob = await blobs.get(path, WAIT_SECONDS, signal);
    if (blob) return tries > 1 ? { ...blob, wasHeld: true } : blob;
    const wasHeld = Date.now() - askedAt > (WAIT_SECONDS * 1000) / 2;
    if (!wasHeld) await sleep(pollMs ?? pauseMs(tries), undefined, { signal });
  }
}

const pauseMs = (tries: number): number => (tries <= 10 ? 100 : tries <= 100 ? 500 : tries <= 1000 ? 1000 : 5000);

function parse(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

const statusOf = (bytes: Uint8Array): string => String(parse(bytes)["status"]);

/**
 * Reuses large buffers: with a new one for each blob, garbage collection costs as much as the transfer itself.
 */
class SpareBuffers {
  readonly #spare: ArrayBufferLike[] = [];

  /** A buffer of `sizeBytes`, its content undefined. */
  take(sizeBytes: number): Buffer {
    const memory = this.#spare.pop();
    if (memory && memory.byteLength >= sizeBytes) return Buffer.from(memory, 0, sizeBytes);
    return Buffer.allocUnsafeSlow(sizeBytes);
  }

  /** Takes back a buffer from {@link SpareBuffers.take}, or a part of it; the caller must not use it anymore. */
  giveBack(bytes: Uint8Array): void {
    this.#spare.push(bytes.buffer);
  }
}
