import { watch, type FSWatcher } from "node:fs";

/** Changes of a folder, whichever process makes them. */
export interface FolderChanges {
  /** Resolves with the next change, after `atMostMs`, or when `signal` is aborted. None is lost between two calls. */
  next(atMostMs: number, signal: AbortSignal): Promise<void>;
  stop(): void;
}

interface Watched {
  watcher: FSWatcher | undefined;
  listeners: Set<() => void>;
}

/** One watcher a folder, however many wait for it: the kernel gives each user a limited number. */
const watched = new Map<string, Watched>();

/** Watches the entries of `folder` from this call on. Where that cannot be had, nothing but time passes. */
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
    // The folder may go, which those who wait see for themselves.
    entry.watcher.on("error", () => {});
  } catch {
    // No such folder, or none of the kernel's watches left.
  }
  return entry;
}

function unwatch(folder: string): void {
  watched.get(folder)?.watcher?.close();
  watched.delete(folder);
}
