/** Why one attempt of a request gave no good answer. */
export type Failure =
  | { kind: "connection"; /** Nothing of the request can have arrived. */ neverSent: boolean }
  | { kind: "status"; status: number; retryAfterMs?: number | undefined }
  /** Silence, or an answer that is not HTTP or not JSON. */
  | { kind: "other" };

export interface Attempts {
  over: "tcp" | "unix";
  /** Whether doing it twice is harmless. */
  isRepeatable: boolean;
  /** Whether this process has been connected to the server before, or is in this attempt. */
  wasReached: boolean;
  /** Whether the server has answered this process well before. */
  hasServed: boolean;
  /** Attempts made, at least 1. */
  count: number;
  /** Since the first failure of this request. */
  elapsedMs: number;
}

/** How long to wait before the next attempt; undefined when there should be none. */
export type RetryPolicy = (failure: Failure, attempts: Attempts) => number | undefined;

const TCP_RETRIES = 6;
/** A server that is killed comes back within this; one that stays away longer is an error. */
const RESTART_MS = 30_000;

/** The policy of the REST contract, section 1. It waits for a server only where a repetition is harmless. */
export const retryDelayMs: RetryPolicy = (failure, attempts) => {
  const isSafe = attempts.isRepeatable || (failure.kind === "connection" && failure.neverSent);
  if (!isSafe || failure.kind === "other") return undefined;
  return attempts.over === "tcp" ? overTcp(failure, attempts) : overSocket(failure, attempts);
};

type Known = Exclude<Failure, { kind: "other" }>;

function overTcp(failure: Known, { count }: Attempts): number | undefined {
  if (count > TCP_RETRIES) return undefined;
  if (failure.kind === "status") {
    const isTransient = failure.status === 429 || (failure.status >= 500 && failure.status !== 501);
    if (!isTransient) return undefined;
    const mayAsk = failure.status === 429 || failure.status === 503;
    if (mayAsk && failure.retryAfterMs !== undefined) return failure.retryAfterMs;
  }
  return Math.min(1000 * 2 ** (count - 1), 30_000);
}

/**
 * Over a local socket a server that is not there is an error at once, and so is what it answers.
 * Only a command that was served already waits until a killed server is back, because
 * a run that continues must not lose its command.
 */
function overSocket(failure: Known, { count, elapsedMs, wasReached, hasServed }: Attempts): number | undefined {
  if (elapsedMs > RESTART_MS || !(failure.kind === "connection" ? wasReached : hasServed)) return undefined;
  if (failure.kind === "status" && ![429, 502, 503, 504].includes(failure.status)) return undefined;
  return Math.min(100 * 2 ** (count - 1), 2000);
}

/** The wait that a `Retry-After` header asks for, in seconds or as a date; at most five minutes. */
export function retryAfterMsOf(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^[0-9]+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), 300_000);
}
