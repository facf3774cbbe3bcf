import { every, retry } from "./retry.ts";

/** A wait for changes of one thing. */
export interface Subscription {
  /** Resolves on a change since the last call, after `withinMs`, or when `signal` is aborted. */
  changed(withinMs: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Notifies about changes of things by their keys, from one source of notifications for the whole process. */
export interface Changes<Key> {
  subscribe(key: Key): Subscription;
  close(): Promise<void>;
}

/** Calls `changed` with the key of each thing that changed, and with undefined when some can be missing. */
type Listen<Key> = (changed: (key: Key | undefined) => void) => Promise<{ close(): Promise<void> }>;

const RETRY_MS = 1000;

/** Listens from the first subscription on. As long as that fails, waits only time out. */
export function createChanges<Key>(listenOnce: Listen<Key>): Changes<Key> {
  const waiting = new Map<Key, Set<() => void>>();
  let listening: Promise<{ close(): Promise<void> } | undefined> | undefined;
  const closing = new AbortController();

  const announce = (key: Key | undefined): void => {
    const affected = key === undefined ? [...waiting.values()] : [waiting.get(key) ?? []];
    for (const wakes of affected) for (const wake of wakes) wake();
  };
  const listen = (): void => {
    const options = { pauses: every(RETRY_MS), signal: closing.signal, passes: () => waiting.size > 0 };
    listening ??= retry(() => listenOnce(announce), options).then(
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
    subscribe(key) {
      let isDirty = false;
      let resume: (() => void) | undefined;
      const wake = (): void => {
        isDirty = true;
        resume?.();
      };
      const wakes = waiting.get(key) ?? new Set();
      waiting.set(key, wakes.add(wake));
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
          if (wakes.size === 0 && waiting.get(key) === wakes) waiting.delete(key);
        },
      };
    },
    async close() {
      closing.abort();
      await (await listening)?.close();
    },
  };
}
