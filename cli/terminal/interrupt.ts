import type { Host } from "./host.ts";
import type { Log } from "./log.ts";

/** The reason of an abort by a signal. */
export class InterruptedError extends Error {
  override name = "InterruptedError";
  override message = "the command was interrupted";
}

const HANGUP =
  "Canceling... The terminal was closed (SIGHUP); to keep a command running after that, start it with 'nohup'";

/** Runs `work` with an AbortSignal that the first interrupting signal aborts, after a warning; the second ends the process. */
export async function withInterrupt<T>(host: Host, log: Log, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const dispose = host.onInterrupt((signal) => {
    log.warn(signal === "SIGHUP" ? HANGUP : "Canceling...");
    controller.abort(new InterruptedError());
  });
  try {
    return await work(controller.signal);
  } finally {
    dispose();
  }
}
