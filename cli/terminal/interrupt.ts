import type { Host } from "./host.ts";
import type { Log } from "./log.ts";

/** The reason of an abort by Ctrl-C. */
export class InterruptedError extends Error {
  override name = "InterruptedError";
  override message = "the command was interrupted";
}

/** Runs `work` with a signal that the first SIGINT or SIGTERM aborts, after a warning; the second ends the process. */
export async function withInterrupt<T>(host: Host, log: Log, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const dispose = host.onInterrupt(() => {
    log.warn("Canceling...");
    controller.abort(new InterruptedError());
  });
  try {
    return await work(controller.signal);
  } finally {
    dispose();
  }
}
