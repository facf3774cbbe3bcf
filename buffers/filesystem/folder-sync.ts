import { syncFolderLater } from "../../disk/write-stream.ts";

/**
 * Returns a function that makes the entries of a folder durable. Calls that arrive during a sync share the next one, so
 * many small blobs cost few journal commits.
 */
export function createFolderSync(syncOnce = syncFolderLater): (folder: string) => Promise<void> {
  const running = new Map<string, Promise<void>>();
  const queued = new Map<string, Promise<void>>();

  const runNext = async (folder: string): Promise<void> => {
    await running.get(folder)?.catch(() => {});
    // From here on a new caller's entry may be too late for this sync.
    queued.delete(folder);
    const work = syncOnce(folder).finally(() => {
      if (running.get(folder) === work) running.delete(folder);
    });
    running.set(folder, work);
    await work;
  };

  return (folder) => {
    const shared = queued.get(folder);
    if (shared) return shared;
    const next = runNext(folder);
    queued.set(folder, next);
    return next;
  };
}
