/** So long a buffer counts as there after it was seen: readers must notice a purge within a few seconds. */
const KNOWN_MS = 2000;
const MOST_KNOWN = 10_000;

/** Which buffers exist. Each request to a blob needs that, and a bucket must not be asked twice for each. */
export interface Containers {
  /** At most {@link KNOWN_MS} old. */
  has(bufferId: string): Promise<boolean>;
  /** As it is now. */
  ask(bufferId: string): Promise<boolean>;
  remember(bufferId: string): void;
  forget(bufferId: string): void;
}

/** A buffer that is missing is asked for each time: it can be made at any moment. */
export function createContainers(exists: (bufferId: string) => Promise<boolean>): Containers {
  const seenAtMs = new Map<string, number>();
  const remember = (bufferId: string, atMs: number): void => {
    seenAtMs.delete(bufferId);
    if (seenAtMs.size >= MOST_KNOWN) for (const oldest of seenAtMs.keys()) if (seenAtMs.delete(oldest)) break;
    seenAtMs.set(bufferId, atMs);
  };
  const asking = new Map<string, Promise<boolean>>();
  const ask = (bufferId: string): Promise<boolean> => {
    const known = asking.get(bufferId);
    if (known) return known;
    // From before the answer: the buffer can be purged meanwhile.
    const atMs = performance.now();
    const asked: Promise<boolean> = exists(bufferId)
      .then((isThere) => {
        if (isThere && asking.get(bufferId) === asked) remember(bufferId, atMs);
        return isThere;
      })
      .finally(() => {
        if (asking.get(bufferId) === asked) asking.delete(bufferId);
      });
    asking.set(bufferId, asked);
    return asked;
  };
  /** A later question must not get an answer from before. */
  const forget = (bufferId: string): void => {
    asking.delete(bufferId);
    seenAtMs.delete(bufferId);
  };
  return {
    async has(bufferId) {
      const atMs = seenAtMs.get(bufferId);
      return (atMs !== undefined && performance.now() - atMs < KNOWN_MS) || ask(bufferId);
    },
    ask,
    remember(bufferId) {
      forget(bufferId);
      remember(bufferId, performance.now());
    },
    forget,
  };
}
