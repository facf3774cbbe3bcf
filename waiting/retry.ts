import { setTimeout as sleep } from "node:timers/promises";

/** How long to pause after the `failures`th failure in a row (from 1), which was `err`; undefined ends the retries. */
export type Pauses = (failures: number, err: unknown) => number | undefined;

export interface RetryOptions {
  pauses: Pauses;
  /** Most attempts in a row, the first one included. */
  tries?: number | undefined;
  /** Time in epoch milliseconds after which no attempt starts. */
  untilMs?: number | undefined;
  /** No attempt starts when failures have lasted longer than this. */
  outageMs?: number | undefined;
  /** Lets the owner stop it: an attempt that fails after the abort is the last, and a pause ends with an AbortError. */
  signal?: AbortSignal | undefined;
  /** Whether another attempt may succeed after this error; by default always. */
  passes?: ((err: unknown) => boolean) | undefined;
  /** Called before each pause. */
  onRetry?: ((err: unknown, pauseMs: number) => void) | undefined;
  clock?: Clock | undefined;
}

/** Replaced by tests, so that they do not wait. */
export interface Clock {
  nowMs(this: void): number;
  sleep(this: void, ms: number, signal: AbortSignal | undefined): Promise<unknown>;
}

export const REAL_CLOCK: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}),
};

/** One attempt of the work; `recovered()` says that it works again, so that the failures before no longer count. */
type Work<T> = (attempt: number, recovered: () => void) => Promise<T>;

/**
 * The one retry loop of the tree: the result of the first attempt that succeeds.
 * @throws the error of the last attempt, unchanged; AbortError when `signal` is aborted in a pause
 */
export async function retry<T>(work: Work<T>, options: RetryOptions): Promise<T> {
  const { pauses, tries = Infinity, untilMs = Infinity, outageMs = Infinity, signal, passes, onRetry } = options;
  const { nowMs, sleep: pause } = options.clock ?? REAL_CLOCK;
  let failures = 0;
  let failedAtMs: number | undefined;
  const recovered = (): void => {
    failures = 0;
    failedAtMs = undefined;
  };
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt, recovered);
    } catch (err) {
      failures++;
      if (failures >= tries || signal?.aborted || passes?.(err) === false) throw err;
      const now = nowMs();
      failedAtMs ??= now;
      const pauseMs = pauses(failures, err);
      if (pauseMs === undefined || now + pauseMs > untilMs || now - failedAtMs > outageMs) throw err;
      onRetry?.(err, pauseMs);
      await pause(pauseMs, signal);
    }
  }
}

/** The same pause after each failure. */
export const every =
  (ms: number): Pauses =>
  () =>
    ms;

/**
 * Pauses that double from `firstMs` up to `mostMs`. With `jitter` (0 to 1) up to that part of each is left out at random,
 * so that clients that failed together do not return together.
 */
export const doubling =
  (firstMs: number, mostMs: number, jitter = 0, random: () => number = Math.random): Pauses =>
  (failures) =>
    Math.min(firstMs * 2 ** (failures - 1), mostMs) * (1 - jitter * random());
