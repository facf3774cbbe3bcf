import type { RunRecords } from "../../model/ports/records.ts";
import { every, retry } from "../../waiting/retry.ts";

/** A wait for changes of one run. */
export interface RunSubscription {
  /** Resolves on a change since the last call, after `withinMs`, or when `signal` is aborted. */
  changed(withinMs: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Notifies about changes of runs, from one subscription to the database for the whole process. */
export interface RunChanges {
  subscribe(runId: number): RunSubscription;
  close(): Promise<void>;
}

const RETRY_MS = 1000;

/** Listens from the first subscription on. Without a connection to the database, waits only time out. */
export function createRunChanges(runs: Pick<RunRecords, "listen">): RunChanges {
  const waiting = new Map<number, Set<() => void>>();
  let listening: Promise<{ close(): Promise<void> } | undefined> | undefined;
  const closing = new AbortController();

  const announce = (runId: number | undefined): void => {
    const affected = runId === undefined ? [...waiting.values()] : [waiting.get(runId) ?? []];
    for (const wakes of affected) for (const wake of wakes) wake();
  };
  const listen = (): void => {
    const listenOnce = () => runs.listen(announce);
    const options = { pauses: every(RETRY_MS), signal: closing.signal, passes: () => waiting.size > 0 };
    listening ??= retry(listenOnce, options).then(
      (subscription) => {
        // There were no notifications of changes before we listened.
        announce(undefined);
        return subscription;
      },
      () => {
        listening = undefined;
        return undefined;
      },
    );
  };

  return {
    subscribe(runId) {
      let isDirty = false;
      let resume: (() => void) | undefined;
      const wake = (): void => {
        isDirty = true;
        resume?.();
      };
      const wakes = waiting.get(runId) ?? new Set();
      waiting.set(runId, wakes.add(wake));
      listen();
      return {
        async changed(withinMs, signal) {
          if (!isDirty && !signal.aborted) {
            await new Promise<void>((resolve) => {
              const timer = setTimeout(resolve, withinMs);
              resume = () => {
                clearTimeout(timer);
                signal.removeEventListener("abort", wake);
                resolve();
              };
              signal.addEventListener("abort", wake, { once: true });
            });
            signal.removeEventListener("abort", wake);
            resume = undefined;
          }
          isDirty = false;
        },
        close() {
          wakes.delete(wake);
          if (wakes.size === 0 && waiting.get(runId) === wakes) waiting.delete(runId);
        },
      };
    },
    async close() {
      closing.abort();
      await (await listening)?.close();
    },
  };
}
