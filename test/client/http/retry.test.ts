import { describe, expect, test } from "vitest";
import { type Attempts, type Failure, retryAfterMsOf, retryDelayMs } from "../../../client/http/retry.ts";

const tcp: Attempts = { over: "tcp", isRepeatable: true, wasReached: false, hasServed: false, count: 1, elapsedMs: 0 };
const stranger: Attempts = { ...tcp, over: "unix" };
const unix: Attempts = { ...stranger, wasReached: true, hasServed: true };
const refused: Failure = { kind: "connection", neverSent: true };
const missing: Failure = { kind: "connection", neverSent: true };
const reset: Failure = { kind: "connection", neverSent: false };
const status = (code: number, retryAfterMs?: number): Failure => ({ kind: "status", status: code, retryAfterMs });

describe("how long to wait before trying again", () => {
  const cases: [name: string, failure: Failure, attempts: Attempts, delayMs: number | undefined][] = [
    ["refused over TCP", refused, tcp, 1000],
    ["refused over TCP for the fourth time", refused, { ...tcp, count: 4 }, 8000],
    ["refused over TCP for the sixth time", refused, { ...tcp, count: 6 }, 30_000],
    ["refused over TCP for the seventh time", refused, { ...tcp, count: 7 }, undefined],
    ["500 over TCP", status(500), tcp, 1000],
    ["501 over TCP", status(501), tcp, undefined],
    ["429 that says when", status(429, 5), tcp, 5],
    ["503 that says when", status(503, 7000), tcp, 7000],
    ["500 with Retry-After is retried after the usual pause", status(500, 7000), tcp, 1000],
    ["reset of a request that must not be repeated", reset, { ...tcp, isRepeatable: false }, undefined],
    ["refused before a request that must not be repeated", refused, { ...tcp, isRepeatable: false }, 1000],
    ["503 for a request that must not be repeated", status(503), { ...tcp, isRepeatable: false }, undefined],
    ["refused on a socket", refused, unix, 100],
    ["refused on a socket for 29 s", refused, { ...unix, count: 20, elapsedMs: 29_000 }, 2000],
    ["refused on a socket for 31 s", refused, { ...unix, count: 20, elapsedMs: 31_000 }, undefined],
    ["refused on a socket that never responded", refused, stranger, undefined],
    ["no socket", missing, stranger, undefined],
    ["no socket for a second, where there was one", missing, { ...unix, elapsedMs: 1000 }, 100],
    ["503 as the first answer on a socket", status(503), { ...stranger, wasReached: true }, undefined],
    ["reset in the first request on a socket", reset, { ...stranger, wasReached: true }, 100],
    ["503 on a socket", status(503), unix, 100],
    ["500 on a socket", status(500), unix, undefined],
    ["reset on a socket", reset, unix, 100],
  ];
  test.each(cases)("%s", (_name, failure, attempts, delayMs) => {
    expect(retryDelayMs(failure, attempts)).toBe(delayMs);
  });
});

test.each([
  [undefined, undefined],
  ["3", 3000],
  ["0", 0],
  ["Sun, 22 Nov 2026 00:00:10 GMT", 10_000],
  ["Sun, 22 Nov 2020 00:00:10 GMT", 0],
  ["99999999", 300_000],
  ["soon", undefined],
])("Retry-After: %s", (header, ms) => {
  expect(retryAfterMsOf(header, Date.parse("2026-11-22T00:00:00Z"))).toBe(ms);
});
