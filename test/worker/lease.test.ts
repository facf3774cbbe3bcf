import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Leases } from "../../model/ports/database.ts";
import { holdLease, type HeldLease } from "../../worker/lease.ts";

const silent = { info: () => {}, warn: () => {} };

/** A lease that the test gives and refuses. */
interface FakeLeases extends Leases {
  answer: boolean | Error;
  calls: string[];
}

function createFakeLeases(): FakeLeases {
  const fake: FakeLeases = {
    answer: true,
    calls: [],
    async take(name, _holder, lifeMs) {
      fake.calls.push(`take ${name} ${lifeMs}`);
      if (fake.answer instanceof Error) throw fake.answer;
      return fake.answer;
    },
    async release(name) {
      fake.calls.push(`release ${name}`);
    },
  };
  return fake;
}

let leases: FakeLeases;
let lease: HeldLease;
beforeEach(async () => {
  vi.useFakeTimers();
  leases = createFakeLeases();
  lease = await holdLease(leases, "a", silent);
});
afterEach(async () => {
  leases.answer = true;
  await lease.release();
  vi.useRealTimers();
});

test("it is held for as long as it is renewed", async () => {
  for (let second = 0; second < 120; second++) {
    expect(lease.isHeld()).toBe(true);
    await vi.advanceTimersByTimeAsync(1000);
  }
  expect(leases.calls).toContain("take a 20000");
});

test("a database that does not answer takes it away only when its time is up", async () => {
  leases.answer = new Error("the database is away");
  await vi.advanceTimersByTimeAsync(15_000);
  expect(lease.isHeld()).toBe(true);
  await vi.advanceTimersByTimeAsync(6000);
  expect(lease.isHeld()).toBe(false);
  leases.answer = true;
  await vi.advanceTimersByTimeAsync(4000);
  expect(lease.isHeld()).toBe(true);
});

test("it is lost as soon as another holder has it", async () => {
  leases.answer = false;
  await vi.advanceTimersByTimeAsync(4000);
  expect(lease.isHeld()).toBe(false);
});

test("time in which the process or the machine was suspended counts, before any timer has fired", async () => {
  expect(lease.isHeld()).toBe(true);
  // No timer fires: only the clock on the wall moves.
  vi.setSystemTime(Date.now() + 21_000);
  expect(lease.isHeld()).toBe(false);
});

test("an answer that took longer than the life of the lease is worth nothing", async () => {
  const answer = Promise.withResolvers<boolean>();
  leases.answer = false;
  await vi.advanceTimersByTimeAsync(4000);
  leases.take = () => answer.promise;
  await vi.advanceTimersByTimeAsync(4000);
  await vi.advanceTimersByTimeAsync(20_000);
  answer.resolve(true);
  await vi.advanceTimersByTimeAsync(0);
  expect(lease.isHeld()).toBe(false);
});

test("it is given up on request, and not taken again", async () => {
  await lease.release();
  expect(lease.isHeld()).toBe(false);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(leases.calls.at(-1)).toBe("release a");
});
