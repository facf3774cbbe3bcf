import type { FastifyRequest } from "fastify";

/** The longest that a request is held, however long its client would wait. */
const LONGEST_WAIT_SECONDS = 30;

/** How long the client lets us wait for something that is not there yet: `Prefer: wait=N` (RFC 7240). */
export function waitSecondsOf(req: FastifyRequest): number {
  const [, seconds] = /\bwait=(\d{1,4})\b/.exec(String(req.headers["prefer"] ?? "")) ?? [];
  return Math.min(Number(seconds ?? 0), LONGEST_WAIT_SECONDS);
}
