import { REAL_CLOCK, type Clock } from "./retry.ts";

/**
 * The result of `work` if it comes within `ms`. The work itself is not stopped.
 * @throws the error of `work`; else what `late` makes, when time is up
 */
export const within = <T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> =>
  firstOf(work, ms, () => {
    throw late();
  });

/** As `within`, for work that may be left unfinished: undefined when time is up. */
export const atMost = <T>(ms: number, work: Promise<T>): Promise<T | undefined> =>
  firstOf<T | undefined>(work, ms, () => undefined);

async function firstOf<T>(work: Promise<T>, ms: number, expire: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    return await Promise.race([work, timeUp.then(expire)]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The result of `work`, or the reason of `signal` as soon as it is aborted. The signal has a promise of its own in each
 * call: one for all of them would keep every result, each chunk of a stream, for as long as it is pending.
 */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** All results, or the first failure after all have settled: nothing continues behind a thrown error. */
export async function settleAll<T extends readonly unknown[]>(
  work: readonly [...T],
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/**
 * The results of `work` for all items, at most `atOnce` at a time. All are worked on, whatever fails.
 * @throws the first failure, after all have settled
 */
export async function eachOf<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: Promise<R>[] = [];
  const waiting = items.entries();
  const workOn = async (): Promise<void> => {
    for (const [at, item] of waiting) {
      const result = (async () => work(item))();
      results[at] = result;
      await Promise.allSettled([result]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, workOn));
  return Promise.all(results);
}

export interface PollOptions {
  everyMs: number;
  withinMs?: number | undefined;
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
}

/**
 * The first result of `look` that is not undefined; undefined when time is up or `signal` is aborted. The last look is
 * at the end of the time, so that a condition that holds by then is always seen.
 * @throws what `look` throws
 */
export async function poll<T>(
  look: () => T | undefined | Promise<T | undefined>,
  { everyMs, withinMs = Infinity, signal, clock = REAL_CLOCK }: PollOptions,
): Promise<T | undefined> {
  const endMs = clock.nowMs() + withinMs;
  for (;;) {
    if (signal?.aborted) return undefined;
    const seen = await look();
    if (seen !== undefined) return seen;
    const leftMs = endMs - clock.nowMs();
    if (leftMs <= 0) return undefined;
    try {
      await clock.sleep(Math.min(everyMs, leftMs), signal);
    } catch (err) {
      if (!signal?.aborted) throw err;
    }
  }
}
