import { closeSync, constants, fstatSync, lstatSync, openSync } from "node:fs";
import { Socket, type OnReadOpts, type SocketConstructorOpts } from "node:net";
import { addAbortSignal } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { unlessAborted } from "../waiting/bounded.ts";

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

/** A blocked open waits for the next nudge. The pauses grow with the time passed so far, so that they add only a fraction. */
const FIRST_PAUSE_MS = 2;
/** Each of thousands of pumps wakes up this often for as long as its job runs. */
const LAST_PAUSE_MS = 250;
const PART_WAITED = 1 / 32;

/** The job, or another program, has put something else where a pipe was. */
export class NoPipeError extends Error {}

/** @throws NoPipeError unless `path` is a named pipe: the job may have replaced it with a link or a file. */
function openPipe(path: string, access: number): number {
  const fd = openSync(path, access | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  if (fstatSync(fd).isFIFO()) return fd;
  closeSync(fd);
  throw new NoPipeError(`'${path}' is not a named pipe`);
}

/**
 * Wakes everyone who is blocked in opening the pipe `fd` for reading, and ends the data of all who read it: after the bytes
 * that are still in it, and only while no other process has it open for writing.
 */
const nudge = (fd: number): void =>
  closeSync(openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK));

/**
 * Our ends of a pipe that the job reads, as often as it opens it. We hold a read end too, without reading from it: no write
 * ever fails because the job has closed the pipe, and the kernel keeps the bytes that no reader has taken. For the job the
 * data continues until {@link WriteEnd.end}, and after a failure until this process exits.
 */
export class WriteEnd {
  readonly #readFd: number;
  readonly #socket: Socket;

  /** @throws Error when there is no pipe at `path`. */
  constructor(path: string) {
    this.#readFd = openPipe(path, constants.O_RDONLY);
    const fd = openSync(`/proc/self/fd/${this.#readFd}`, constants.O_WRONLY | constants.O_NONBLOCK);
    this.#socket = new Socket({ fd, readable: false, writable: true });
    // Each failed write reports its own error.
    this.#socket.on("error", () => {});
  }

  /** Resolves when the kernel has taken all of `chunk`. @throws the reason of `signal`, which gives up the wait */
  write(chunk: Uint8Array, signal: AbortSignal): Promise<void> {
    const writing = new Promise<void>((resolve, reject) => {
      this.#socket.write(chunk, (err) => (err ? reject(err) : resolve()));
    });
    return unlessAborted(writing, signal);
  }

  /**
   * Ends the data: each further open of the pipe gets the bytes that none before it has read, and then an end. Without a
   * writer such an open blocks in the kernel, unseen by us, so it is nudged until `signal` is aborted.
   */
  async end(signal: AbortSignal): Promise<void> {
    // Nothing is lost: the kernel has all that was written.
    this.#socket.destroy();
    let waitedMs = 0;
    while (!signal.aborted) {
      nudge(this.#readFd);
      const pauseMs = Math.min(Math.max(FIRST_PAUSE_MS, waitedMs * PART_WAITED), LAST_PAUSE_MS);
      waitedMs += pauseMs;
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
    }
  }
}

const reopen = (fd: number): number => openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY | constants.O_NONBLOCK);

/** Our end of a pipe that the job writes. It stays open until the process exits, so a late writer never blocks or dies. */
export class ReadEnd {
  readonly #path: string;
  readonly #fd: number;
  #first: number | undefined;

  /** @throws Error when there is no pipe at `path`. */
  constructor(path: string) {
    this.#path = path;
    // A job that waits in its open can write and be done before the next line: only this descriptor reports its end.
    this.#first = openPipe(path, constants.O_RDONLY);
    this.#fd = reopen(this.#first);
  }

  /**
   * The bytes from the constructor or the last stream on, until the last writer has closed the pipe. The pipe is watched from
   * this call on. A chunk is valid until the next one is asked for. @throws the reason of `signal`
   */
  stream(signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const fd = this.#first ?? reopen(this.#fd);
    this.#first = undefined;
    return chunksOf(fd, signal);
  }

  /** Ends each {@link ReadEnd.stream} that has no writer, after the bytes that are still in the pipe. */
  nudge(): void {
    nudge(this.#fd);
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
