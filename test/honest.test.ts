import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";

/**
 * Habits that make a test slow, or flaky on a busy machine, or green without having looked. They are found in the text:
 * a rule that needs types would not run in a second.
 */

/** The bench measures time, `eventually.ts` has what tests use instead, and this file names what it looks for. */
const EXEMPT = /^(?:bench\/.*|eventually\.ts|honest\.test\.ts)$/;
const FILES = readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" }).filter(
  (path) => path.endsWith(".ts") && !EXEMPT.test(path),
);

interface Habit {
  pattern: RegExp;
  /** Code that it must find, and code that it must leave alone. */
  found: string[];
  allowed: string[];
}

const HABITS: Record<string, Habit> = {
  "a sleep: wait with 'eventually', look with 'stays', or let the event loop turn with 'turns'": {
    pattern:
      /\bsetTimeout\b[^;]*from "node:timers\/promises"|new Promise(?:<\w+>)?\(\(?(\w+)\)? => (?:void )?setTimeout\(\1\b/,
    found: [
      'import { setTimeout as sleep } from "node:timers/promises";',
      "await new Promise((resolve) => setTimeout(resolve, 50));",
      "await new Promise<void>((done) => void setTimeout(done, 50));",
    ],
    allowed: ['import { setImmediate as nextTurn } from "node:timers/promises";', "setTimeout(() => end(), forMs);"],
  },
  "a bound on the clock on the wall: count steps, or wait for the event": {
    pattern: /performance\.now\(\)|expect\([^;]*(?:Date\.now\(\) -|- Date\.now\(\))/,
    found: [
      "const started = performance.now();",
      "expect(Date.now() - startedMs).toBeLessThan(1000);",
      "expect(\n  endMs - Date.now(),\n).toBeGreaterThan(5);",
    ],
    allowed: [
      "expect(createdAtMs).toBeLessThanOrEqual(Date.now());",
      "expect(a).toBe(b);\nconst old = new Date(Date.now() - 5000);",
    ],
  },
  "a test that runs alone": {
    pattern: /\b(?:test|describe|it)(?:\.\w+)*\.only\b/,
    found: ['test.only("x", () => {});', "describe.concurrent.only("],
    allowed: ["const only = 1;"],
  },
  "a skip without a reason: call 'skip(condition, reason)' in the test, which is printed": {
    pattern:
      /\b(?:test|describe|it)(?:\.\w+)*\.(?:skip|skipIf|runIf|todo|fails)\b|\bskip\([^,]*?\bundefined\b\)|\bskip\(\)/,
    found: ['test.skip("x")', "test.skipIf(!isRoot)(", "describe.runIf(isRoot)(", "skip();"],
    allowed: ["skip(why !== undefined, why);", "skip(whyNoSmallDisk);"],
  },
};

test.each(Object.entries(HABITS))("no test has %s", (_name, { pattern, found, allowed }) => {
  expect(found.filter((code) => !pattern.test(code))).toEqual([]);
  expect(allowed.filter((code) => pattern.test(code))).toEqual([]);
  expect(FILES.length).toBeGreaterThan(0);
  expect(FILES.filter((path) => pattern.test(readFileSync(resolve(import.meta.dirname, path), "utf8")))).toEqual([]);
});
