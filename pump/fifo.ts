import { closeSync, constants, fstatSync, lstatSync, openSync } from "node:fs";
import { Socket, type OnReadOpts, type SocketConstructorOpts } from "node:net";
import { addAbortSignal } from "node:stream";
import { unlessAborted } from "../waiting/bounded.ts";
import { retry } from "../waiting/retry.ts";
import { errnoOf } from "../model/errors.ts";

/**
 * Named pipes that never block: an open that waits for the other end would occupy a thread of libuv's pool, and four of
 * them would block every file call of the process. So both ends are opened with O_NONBLOCK and polled by net.Socket.
 * Linux only: a FIFO open for reading reports no hang-up before its first writer, and `/proc/self/fd` can reopen it.
 */

/** Signals that end a pipe: `jobEnded` when the job is done, `halt` when the transfer is given up. */
export interface Endings {
  jobEnded: AbortSignal;
  halt: AbortSignal;
}

/** The pauses between checks for a reader grow with the time waited so far, so a late check adds only a fraction of it. */
const FIRST_RETRY_MS = 2;
const LAST_RETRY_MS = 50;
const PART_WAITED = 1 / 32;

/** @throws Error unless `path` is a named pipe: the job may have replaced it with a link or a file. */
function openPipe(path: string, access: number): number {
  const fd = openSync(path, access | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  if (fstatSync(fd).isFIFO()) return fd;
  closeSync(fd);
  throw new Error(`'${path}' is not a named pipe`);
}

/**
 * The write end of the pipe at `path`, once a reader has it open; undefined when `signal` was aborted before.
 * @throws Error when there is no pipe.
 */
export async function openWriteEnd(path: string, signal: AbortSignal): Promise<WriteEnd | undefined> {
  if (signal.aborted) return undefined;
  let waitedMs = 0;
  const pauses = (): number => {
    const pauseMs = Math.min(Math.max(FIRST_RETRY_MS, waitedMs * PART_WAITED), LAST_RETRY_MS);
    waitedMs += pauseMs;
    return pauseMs;
  };
  const open = async (): Promise<WriteEnd> => new WriteEnd(openPipe(path, constants.O_WRONLY), signal);
  try {
    return await retry(open, { pauses, signal, passes: hasNoReader });
  } catch (err) {
    if (signal.aborted && (hasNoReader(err) || errnoOf(err) === "ABORT_ERR")) return undefined;
    throw err;
  }
}

const hasNoReader = (err: unknown): boolean => errnoOf(err) === "ENXIO";

/** The last reader closed the pipe: the job does not want the rest. */
export class ReaderGone extends Error {}

/** Our end of a pipe that the job reads. For the job it stays open until {@link WriteEnd.close}. */
export class WriteEnd {
  readonly #socket: Socket;
  readonly #signal: AbortSignal;

  /** Once `signal` is aborted a write that waits for the job is given up. */
  constructor(fd: number, signal: AbortSignal) {
    this.#socket = new Socket({ fd, readable: false, writable: true });
    // Each failed write reports its own error.
    this.#socket.on("error", () => {});
    this.#signal = signal;
  }

  /** Resolves when the kernel has taken all of `chunk`. @throws ReaderGone */
  write(chunk: Uint8Array): Promise<void> {
    const writing = new Promise<void>((resolve, reject) => {
      this.#socket.write(chunk, (err) => {
        if (!err) resolve();
        else reject(new ReaderGone("The job closed the pipe", { cause: err }));
      });
    });
    return unlessAborted(writing, this.#signal);
  }

  /** Ends the data. Nothing is lost: the kernel has all that was written. */
  close(): void {
    this.#socket.destroy();
  }
}

/** Our end of a pipe that the job writes. It stays open until the process exits, so a late writer never blocks or dies. */
export class ReadEnd {
  readonly #path: string;
  readonly #fd: number;

  /** @throws Error when there is no pipe at `path`. */
  constructor(path: string) {
    this.#path = path;
    this.#fd = openPipe(path, constants.O_RDONLY);
  }

  /**
   * The bytes from now on, until the last writer has closed the pipe. The pipe is watched from this call on. A chunk is
   * valid until the next one is asked for. @throws the reason of `signal`
   */
  stream(signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    return chunksOf(openSync(`/proc/self/fd/${this.#fd}`, constants.O_RDONLY | constants.O_NONBLOCK), signal);
  }

  /** Ends each {@link ReadEnd.stream} that has no writer, after the bytes that are still in the pipe. */
  nudge(): void {
    closeSync(openSync(`/proc/self/fd/${this.#fd}`, constants.O_WRONLY | constants.O_NONBLOCK));
  }

  /** Whether something else is at the pipe's path: a job can `mv` its result over it. */
  isReplaced(): boolean {
    const ours = fstatSync(this.#fd);
    const there = lstatSync(this.#path, { throwIfNoEntry: false });
    return there !== undefined && (there.ino !== ours.ino || there.dev !== ours.dev);
  }
}

/** The capacity of a pipe, unless a process has enlarged it. */
const CHUNK_BYTES = 64 * 1024;

/** Reads `fd` to its end through one buffer: a new one for each chunk would double the cost. */
function chunksOf(fd: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  let wake = (): void => {};
  let chunk: Uint8Array | undefined;
  let failure: Error | undefined;
  let ended = false;
  const onread = {
    buffer: Buffer.allocUnsafeSlow(CHUNK_BYTES),
    callback: (sizeBytes: number, buffer: Uint8Array): boolean => {
      chunk = buffer.subarray(0, sizeBytes);
      wake();
      // Stops reading until this chunk has been taken.
      return false;
    },
  };
  // Sockets made from descriptors also support `onread`; the types lack it.
  const options: SocketConstructorOpts & { onread: OnReadOpts } = { fd, readable: true, writable: false, onread };
  const socket = addAbortSignal(signal, new Socket(options));
  socket.on("error", (err) => (failure = err));
  socket.on("end", () => (ended = true));
  socket.on("close", () => wake());
  socket.resume();

  return (async function* chunks() {
    try {
      for (;;) {
        if (!chunk && !socket.closed) await new Promise<void>((resolve) => (wake = resolve));
        signal.throwIfAborted();
        if (chunk) {
          const next = chunk;
          chunk = undefined;
          yield next;
          socket.resume();
        } else if (socket.closed) {
          if (!ended) throw failure ?? new Error("The pipe was closed before its end");
          return;
        }
      }
    } finally {
      socket.destroy();
    }
  })();
}
