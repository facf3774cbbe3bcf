import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";
import { errnoOf } from "../../model/errors.ts";

/** The part of the runtime's handle that we use. It accepts any descriptor that can be polled. */
interface PollableHandle {
  open(fd: number): number;
}
type Bindings = (name: "tcp_wrap") => { TCP: new (type: number) => PollableHandle; constants: { SOCKET: number } };

/**
 * Fails `stream` with EPIPE as soon as the pipe `fd` has no reader left, also between two writes: a command that waits for
 * something to write would otherwise never end. The runtime has no function for this. It watches only what it reads, so it is
 * made to read the writing end, from which nothing ever arrives but the failure when the last reader is gone. Where that is not
 * possible, a reader that has gone is noticed with the next write.
 */
export function failWithReader(stream: Writable, fd: number): void {
  // Most commands are over by then, and would only pay for it.
  const timer = setTimeout(() => watchReader(stream, fd), PATIENCE_MS).unref();
  stream.once("close", () => clearTimeout(timer));
}

const PATIENCE_MS = 50;

function watchReader(stream: Writable, fd: number): void {
  let watched: number | undefined;
  try {
    // A descriptor of its own, because the runtime watches each of them once.
    watched = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
    const { TCP, constants: kinds } = (process as unknown as { binding: Bindings }).binding("tcp_wrap");
    const handle = new TCP(kinds.SOCKET);
    if (handle.open(watched) !== 0) throw new Error("the pipe cannot be watched");
    const end = new Socket({ handle, readable: true, writable: false } as object);
    end.on("error", (err) => {
      if (errnoOf(err) === "EBADF") failIdle(stream);
    });
    end.unref().resume();
    stream.once("close", () => end.destroy());
  } catch (err) {
    if (watched !== undefined) closeSync(watched);
    // A pipe without a reader cannot be opened again.
    if (errnoOf(err) === "ENXIO") failIdle(stream);
  }
}

/** A write under way fails by itself, and that error must reach its caller. */
function failIdle(stream: Writable): void {
  if (stream.writableLength === 0) stream.destroy(brokenPipe());
}

const brokenPipe = (): Error => Object.assign(new Error("write EPIPE"), { code: "EPIPE" });

/** Aborted with the error of `stream` as soon as it has failed. */
export function failureOf(stream: Writable): AbortSignal {
  const failing = new AbortController();
  if (stream.errored) failing.abort(stream.errored);
  stream.once("error", (err) => failing.abort(err));
  return failing.signal;
}
