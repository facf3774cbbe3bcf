/**
 * The time of the API server, which dates what happens to pods: our own clock can be another. It is as exact as the `Date` of
 * its answers, which is a second.
 */
export interface ServerClock {
  /** Epoch milliseconds; our own time before the first answer. */
  nowMs(): number;
  /** Takes the `Date` of an answer. */
  hear(date: string | undefined): void;
}

/** Differences below this are the rounding of the `Date` and the way of the answer. */
const RESOLUTION_MS = 2000;

export function createServerClock(ownNowMs: () => number = Date.now): ServerClock {
  let aheadMs = 0;
  return {
    nowMs: () => ownNowMs() + aheadMs,
    hear(date) {
      const serverMs = date === undefined ? NaN : Date.parse(date);
      if (Number.isNaN(serverMs)) return;
      const seenAheadMs = serverMs - ownNowMs();
      if (Math.abs(seenAheadMs - aheadMs) > RESOLUTION_MS) aheadMs = seenAheadMs;
    },
  };
}
