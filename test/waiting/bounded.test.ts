import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { atMost, eachOf, poll, settleAll, within, unlessAborted } from "../../waiting/bounded.ts";
import type { Clock } from "../../waiting/retry.ts";

describe("eachOf", () => {
  test("works on a bounded number at once, and gives the results in the order of the items", async () => {
    let underWay = 0;
    let most = 0;
    const work = async (item: number): Promise<number> => {
      most = Math.max(most, (underWay += 1));
      // The first ones take longest.
      for (let turn = item; turn < 10; turn++) await Promise.resolve();
      underWay -= 1;
      return item * 10;
    };
    expect(await eachOf([0, 1, 2, 3, 4, 5, 6], 3, work)).toEqual([0, 10, 20, 30, 40, 50, 60]);
    expect(most).toBe(3);
    expect(await eachOf([], 3, work)).toEqual([]);
  });

  test("works on all items whatever fails, and throws the first failure", async () => {
    const done: number[] = [];
    const work = async (item: number): Promise<void> => {
      done.push(item);
      if (item % 2 === 1) throw new Error(`no ${item}`);
    };
    await expect(eachOf([0, 1, 2, 3, 4], 2, work)).rejects.toThrow("no 1");
    expect(done).toEqual([0, 1, 2, 3, 4]);
  });
});

const never = new Promise<never>(() => {});

describe("unlessAborted", () => {
  test("gives the result of the work", async () => {
    expect(await unlessAborted(Promise.resolve("done"), new AbortController().signal)).toBe("done");
  });

  test("throws the reason as soon as the signal is aborted, also when it was before", async () => {
    const owner = new AbortController();
    const waiting = unlessAborted(new Promise(() => undefined), owner.signal);
    owner.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await expect(unlessAborted(new Promise(() => undefined), owner.signal)).rejects.toThrow("enough");
  });

  test("leaves no listener behind", async () => {
    const { signal } = new AbortController();
    await unlessAborted(Promise.resolve(), signal);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("within a time", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("the result or the error of the work counts, and no timer stays", async () => {
    expect(await within(1000, Promise.resolve("done"), () => new Error("late"))).toBe("done");
    await expect(within(1000, Promise.reject(new Error("broken")), () => new Error("late"))).rejects.toThrow("broken");
    expect(await atMost(1000, Promise.resolve("done"))).toBe("done");
    await expect(atMost(1000, Promise.reject(new Error("broken")))).rejects.toThrow("broken");
    expect(vi.getTimerCount()).toBe(0);
  });

  test("work that is late is an error of the caller's making", async () => {
    const outcome = within(1000, never, () => new Error("late")).catch((err: unknown) => err);
    await vi.advanceTimersByTimeAsync(999);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await outcome).toMatchObject({ message: "late" });
  });

  test("work that can be left unfinished gives undefined", async () => {
    const outcome = atMost(1000, never);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await outcome).toBeUndefined();
  });
});

test("all are settled before the first failure is thrown", async () => {
  const slow = Promise.withResolvers<string>();
  let isThrown = false;
  const both = settleAll([Promise.reject(new Error("first")), slow.promise]).catch((err: unknown) => {
    isThrown = true;
    return err;
  });
  await new Promise(setImmediate);
  expect(isThrown).toBe(false);
  slow.resolve("slow");
  expect(await both).toMatchObject({ message: "first" });
  expect(await settleAll([Promise.resolve(1), "two"])).toEqual([1, "two"]);
});

describe("a poll", () => {
  function fakeClock(onSleep?: () => void): Clock & { slept: number[] } {
    let now = 0;
    const slept: number[] = [];
    return {
      slept,
      nowMs: () => now,
      async sleep(ms, signal) {
        slept.push(ms);
        now += ms;
        onSleep?.();
        signal?.throwIfAborted();
      },
    };
  }

  test("gives what is seen first", async () => {
    const clock = fakeClock();
    const seen = [undefined, undefined, "here"];
    expect(await poll(() => seen.shift(), { everyMs: 10, clock })).toBe("here");
    expect(clock.slept).toEqual([10, 10]);
  });

  test("looks a last time at the end of its time", async () => {
    const clock = fakeClock();
    const looksAt: number[] = [];
    const look = (): undefined => void looksAt.push(clock.nowMs());
    expect(await poll(look, { everyMs: 10, withinMs: 25, clock })).toBeUndefined();
    expect(looksAt).toEqual([0, 10, 20, 25]);
  });

  test("looks once when it has no time", async () => {
    expect(await poll(() => "here", { everyMs: 10, withinMs: 0, clock: fakeClock() })).toBe("here");
    expect(await poll(() => undefined, { everyMs: 10, withinMs: 0, clock: fakeClock() })).toBeUndefined();
  });

  test("ends when its owner cancels", async () => {
    const owner = new AbortController();
    const clock = fakeClock(() => owner.abort());
    expect(await poll(() => undefined, { everyMs: 10, signal: owner.signal, clock })).toBeUndefined();
    expect(clock.slept).toEqual([10]);
  });

  test("throws what a look throws", async () => {
    const look = () => Promise.reject(new Error("blind"));
    await expect(poll(look, { everyMs: 10, clock: fakeClock() })).rejects.toThrow("blind");
  });
});
