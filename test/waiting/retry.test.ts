import { describe, expect, test } from "vitest";
import { doubling, every, retry, type Clock, type RetryOptions } from "../../waiting/retry.ts";

/** A clock whose pauses take no time, and what was paused. */
function fakeClock(onPause?: (ms: number) => void): Clock & { paused: number[] } {
  let now = 1_000_000;
  const paused: number[] = [];
  return {
    paused,
    nowMs: () => now,
    async sleep(ms, signal) {
      paused.push(ms);
      now += ms;
      onPause?.(ms);
      if (signal?.aborted) throw new DOMException("The operation was aborted", "AbortError");
    },
  };
}

/** Work that fails `failures` times and then gives the number of its attempt. */
const failing = (failures: number) => async (attempt: number) => {
  if (attempt <= failures) throw new Error(`failure ${attempt}`);
  return attempt;
};

const run = (failures: number, options: RetryOptions) => retry(failing(failures), options);

test("the first success is the result, and there is one pause after each failure", async () => {
  const clock = fakeClock();
  expect(await run(3, { pauses: every(5), clock })).toBe(4);
  expect(clock.paused).toEqual([5, 5, 5]);
});

test("work that succeeds at once is not repeated", async () => {
  const clock = fakeClock();
  expect(await run(0, { pauses: every(5), clock })).toBe(1);
  expect(clock.paused).toEqual([]);
});

describe("the last error is thrown unchanged", () => {
  test("after the last try", async () => {
    await expect(run(9, { pauses: every(5), tries: 3, clock: fakeClock() })).rejects.toThrow("failure 3");
  });

  test("when the next attempt would start after the end", async () => {
    const clock = fakeClock();
    await expect(run(9, { pauses: every(10), untilMs: clock.nowMs() + 25, clock })).rejects.toThrow("failure 3");
    expect(clock.paused).toEqual([10, 10]);
  });

  test("when failures have lasted too long, counted from the first of them", async () => {
    const clock = fakeClock();
    const slow = async (attempt: number) => {
      if (attempt === 1) await clock.sleep(500, undefined);
      throw new Error(`failure ${attempt}`);
    };
    await expect(retry(slow, { pauses: every(10), outageMs: 25, clock })).rejects.toThrow("failure 4");
    expect(clock.paused).toEqual([500, 10, 10, 10]);
  });

  test("when the error cannot pass", async () => {
    const thrown = new TypeError("final");
    const work = async () => {
      throw thrown;
    };
    const passes = (err: unknown) => !(err instanceof TypeError);
    await expect(retry(work, { pauses: every(5), passes, clock: fakeClock() })).rejects.toBe(thrown);
  });

  test("when the pauses end", async () => {
    const pauses = (failures: number) => (failures < 3 ? 5 : undefined);
    await expect(run(9, { pauses, clock: fakeClock() })).rejects.toThrow("failure 3");
  });

  test("when the owner canceled during the attempt", async () => {
    const owner = new AbortController();
    const work = async () => {
      owner.abort();
      throw new Error("failure of the attempt");
    };
    const clock = fakeClock();
    await expect(retry(work, { pauses: every(5), signal: owner.signal, clock })).rejects.toThrow("of the attempt");
    expect(clock.paused).toEqual([]);
  });
});

test("a cancel during a pause ends it with an AbortError, and there is no further attempt", async () => {
  const owner = new AbortController();
  let attempts = 0;
  const work = async () => {
    attempts++;
    throw new Error("failure");
  };
  const clock = fakeClock(() => owner.abort());
  await expect(retry(work, { pauses: every(5), signal: owner.signal, clock })).rejects.toMatchObject({
    name: "AbortError",
  });
  expect(attempts).toBe(1);
});

test("the real clock ends a pause with the signal", async () => {
  const owner = new AbortController();
  const onRetry = () => setImmediate(() => owner.abort());
  await expect(run(9, { pauses: every(3_600_000), signal: owner.signal, onRetry })).rejects.toMatchObject({
    name: "AbortError",
  });
});

test("failures before a recovery no longer count: not for the pauses, the tries or the time", async () => {
  const clock = fakeClock();
  const work = async (attempt: number, recovered: () => void) => {
    if (attempt % 3 === 0) recovered();
    throw new Error(`failure ${attempt}`);
  };
  const options = { pauses: doubling(10, 1000), outageMs: 60, clock };
  await expect(retry(work, { ...options, tries: 4, passes: (err) => !String(err).endsWith("12") })).rejects.toThrow(
    "12",
  );
  expect(clock.paused).toEqual([10, 20, 10, 20, 40, 10, 20, 40, 10, 20, 40]);
});

test("each retry is reported with its error and pause", async () => {
  const reported: unknown[] = [];
  const onRetry = (err: unknown, pauseMs: number) => reported.push([String(err), pauseMs]);
  await run(2, { pauses: doubling(10, 100), onRetry, clock: fakeClock() });
  expect(reported).toEqual([
    ["Error: failure 1", 10],
    ["Error: failure 2", 20],
  ]);
});

test("a pause may follow from the error", async () => {
  const clock = fakeClock();
  await run(2, { pauses: (failures, err) => (String(err).endsWith("1") ? 7 : failures), clock });
  expect(clock.paused).toEqual([7, 2]);
});

test("pauses double up to the longest", () => {
  expect([1, 2, 3, 4, 5, 2000].map((failures) => doubling(100, 1000)(failures, undefined))).toEqual([
    100, 200, 400, 800, 1000, 1000,
  ]);
});

test("jitter only shortens a pause, by its part at most", () => {
  const pausesFor = (random: number) => doubling(100, 1000, 0.5, () => random)(2, undefined);
  expect([0, 0.5, 1].map(pausesFor)).toEqual([200, 150, 100]);
});
