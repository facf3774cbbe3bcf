import { watch, type FSWatcher } from "node:fs";

/** Changes to a folder, including those of other processes. */
export interface FolderChanges {
  /** Resolves with the next change, after `atMostMs`, or when `signal` is aborted. None is lost between two calls. */
  next(atMostMs: number, signal: AbortSignal): Promise<void>;
  stop(): void;
}

interface Watched {
  watcher: FSWatcher | undefined;
  listeners: Set<() => void>;
}

/** One watcher per folder, shared by all its waiters: the kernel limits watches per user. */
const watched = new Map<string, Watched>();

/** Watches the entries of `folder` from this call on. If the kernel refuses, waits end only by timeout. */
export function watchFolder(folder: string): FolderChanges {
  let hasChanged = false;
  let wake = (): void => {};
  const listener = (): void => {
    hasChanged = true;
    wake();
  };
  const { listeners } = watchedOf(folder);
  listeners.add(listener);
  return {
    async next(atMostMs, signal) {
      if (!hasChanged && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const end = (): void => {
            clearTimeout(timer);
            signal.removeEventListener("abort", end);
            resolve();
          };
          const timer = setTimeout(end, atMostMs);
          signal.addEventListener("abort", end);
          wake = end;
        });
      }
      hasChanged = false;
    },
    stop() {
      listeners.delete(listener);
      if (listeners.size === 0) unwatch(folder);
    },
  };
}

function watchedOf(folder: string): Watched {
  const known = watched.get(folder);
  if (known) return known;
  const listeners = new Set<() => void>();
  const entry: Watched = { watcher: undefined, listeners };
  watched.set(folder, entry);
  try {
    entry.watcher = watch(folder, { persistent: false }, () => {
      for (const listener of listeners) listener();
    });
    // The folder can disappear; the waiters check for that.
    entry.watcher.on("error", () => {});
  } catch {
    // No such folder, or no kernel watches left.
  }
  return entry;
}

function unwatch(folder: string): void {
  watched.get(folder)?.watcher?.close();
  watched.delete(folder);
}
