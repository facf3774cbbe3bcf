import type { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { blobPathOf, CHAIN_START, END_BLOB, FORMAT_VERSION, START_BLOB } from "./buffer-format.ts";
import { CodedError } from "../../model/errors.ts";
import { BlobHash } from "./blob-hash.ts";
import type { Blobs, BlobSource, ReceivedBlob } from "./blobs.ts";
import { nextInChain } from "./hash-chain.ts";
import { SpareBuffers } from "./spare-buffers.ts";

/** How long our data plane may hold a request for a blob that is not there yet. */
const WAIT_SECONDS = 20;
/** What is fetched ahead of the reader, in bytes, whatever `dop` says: a process may grow by 150 MiB, garbage included. */
const AHEAD_BYTES = 16 * 1024 * 1024;
const END_POLL_MS = 5_000;

export interface ReadOptions {
  /** Parallel downloads. */
  dop?: number;
  outageMs?: number;
  signal?: AbortSignal;
  /** Bytes passed on since the last call. */
  onProgress?: (bytes: number) => void;
  onRetry?: (reason: string) => void;
  onWarning?: (message: string) => void;
}

/**
 * Reads a buffer from its start to its verified end into `sink`, which is not ended. A reader may come before the
 * writer; it waits for as long as the buffer has no end. The memory of a chunk is used again once `sink` has called
 * back for it: a stream that passes chunks on, such as a PassThrough, is no sink.
 * @throws CodedError Unavailable `the buffer is in a permanently failed state`; Md5Mismatch; ContainerNotFound
 */
export async function readBuffer(
  source: BlobSource,
  sink: Writable,
  options: ReadOptions = {},
): Promise<{ sizeBytes: number }> {
  const { dop = 32, outageMs = 60_000 } = options;
  const stopping = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stopping.signal]) : stopping.signal;
  const buffers = new SpareBuffers();
  const allocate = (blobBytes: number): Buffer => buffers.take(blobBytes);
  const hash = new BlobHash();
  const blobs = source.open({ signal, outageMs, allocate, hash, onRetry: options.onRetry });
  const ended = new AbortController();
  const waits = AbortSignal.any([signal, ended.signal]);

  const watchEnd = async (): Promise<void> => {
    const end = await waitForBlob(blobs, END_BLOB, signal, END_POLL_MS);
    const status = statusOf(end.bytes);
    if (status === "failed") throw new CodedError("Conflict", "the buffer is in a permanently failed state");
    if (status !== "complete") options.onWarning?.(`The end mark has the unknown status '${status}'`);
    ended.abort();
  };
  // Missing blobs are waited for until the end mark is seen; then they are missing for good.
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
  const checkStart = async (): Promise<void> => {
    const { version } = parse((await fetch(START_BLOB)).bytes);
    if (version !== FORMAT_VERSION)
      throw new CodedError("InvalidInput", `The buffer has the unknown format '${String(version)}'`);
  };

  const endSeen = watchEnd();
  const startSeen = checkStart();
  const data = passBlobs({ fetch, sink, dop, buffers, startSeen, onProgress: options.onProgress });
  try {
    // The end mark decides only when it tells of a failure; a reader that has come to the end does not wait for it.
    return await Promise.race([data, neverUnless(endSeen), neverUnless(startSeen), failureOf(sink, signal)]);
  } finally {
    stopping.abort();
    hash.close();
    for (const part of [data, endSeen, startSeen]) part.catch(() => undefined);
  }
}

interface Passing {
  fetch: (path: string) => Promise<ReceivedBlob>;
  sink: Writable;
  dop: number;
  /** Where the bytes of blobs come from and go back to. */
  buffers: SpareBuffers;
  startSeen: Promise<void>;
  onProgress: ((bytes: number) => void) | undefined;
}

/** Fetches ahead within bounds and writes what is verified, in order. */
async function passBlobs(passing: Passing): Promise<{ sizeBytes: number }> {
  const { fetch, sink, dop, buffers, startSeen, onProgress } = passing;
  const ahead: Promise<ReceivedBlob>[] = [];
  let next = 0;
  let width = 2;
  let largest = 1;
  let chain = CHAIN_START;
  let sizeBytes = 0;
  for (let number = 0; ; number++) {
    while (ahead.length < Math.min(width, dop, Math.max(2, Math.floor(AHEAD_BYTES / largest)))) {
      const fetching = fetch(blobPathOf(next++));
      // A blob beyond the end is asked for in vain; whoever waits for it hears of a failure.
      fetching.catch(() => undefined);
      ahead.push(fetching);
    }
    const head = ahead.shift();
    if (!head) throw new Error("Nothing was fetched ahead");
    const { bytes, md5, chain: link, wasHeld } = await head;
    chain = nextInChain(chain, md5);
    if (link !== chain) {
      throw new CodedError("Md5Mismatch", `hash chain mismatch in blob '${blobPathOf(number)}'`);
    }
    if (number === 0) await startSeen;
    if (bytes.byteLength === 0) return { sizeBytes };
    // A blob that was there shows that the writer is ahead of us; one that was waited for, that it is not.
    width = wasHeld ? 2 : Math.min(width * 2, dop);
    largest = Math.max(largest, bytes.byteLength);
    sizeBytes += bytes.byteLength;
    await writeTo(sink, bytes);
    onProgress?.(bytes.byteLength);
    buffers.giveBack(bytes);
  }
}

/** Asks for a blob until it is there: held requests where the server offers them, else at growing intervals. */
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

const neverUnless = (part: Promise<void>): Promise<never> => part.then(() => new Promise<never>(() => undefined));

/** Resolves when the sink is done with the bytes; a sink that was destroyed tells it here only. */
const writeTo = (sink: Writable, bytes: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    sink.write(bytes, (err) => (err ? reject(err) : resolve()));
  });

/** Rejects when the sink fails, also between writes, or the reading is given up; never resolves. */
const failureOf = (sink: Writable, signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    const fail = (): void => reject(signal.reason as Error);
    sink.once("error", reject);
    if (signal.aborted) fail();
    signal.addEventListener("abort", fail, { once: true });
  });

function parse(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

const statusOf = (bytes: Uint8Array): string => String(parse(bytes)["status"]);
