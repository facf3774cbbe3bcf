import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Heals, type HealsOptions } from "../../../runs/repair/heals.ts";
import { doubling, every } from "../../../waiting/retry.ts";

const LIMIT_MS = 30_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const logged: object[] = [];
const log = { info: () => {}, warn: (facts: object) => void logged.push(facts) };
const healsOf = (given: Partial<HealsOptions> = {}): Heals =>
  new Heals({ failed: "could not", atOnce: 2, limitMs: LIMIT_MS, pauses: every(0), log, ...given });

const faultOf = (id: number) => ({ run: { id }, fault: "broken" });
const never = (): Promise<void> => new Promise(() => {});

/** Heals that the test ends, by run. */
function createPatients(heals: Heals) {
  const begun: number[] = [];
  const ends = new Map<number, PromiseWithResolvers<void>>();
  return {
    begun,
    offer: (id: number): void =>
      heals.offer(faultOf(id), () => {
        begun.push(id);
        const end = Promise.withResolvers<void>();
        ends.set(id, end);
        return end.promise;
      }),
    end: async (id: number, err?: Error): Promise<void> => {
      if (err) ends.get(id)?.reject(err);
      else ends.get(id)?.resolve();
      await vi.advanceTimersByTimeAsync(0);
    },
  };
}

test("heals begin in the order in which they were offered, a bounded number at once", async () => {
  const { begun, offer, end } = createPatients(healsOf());
  for (const id of [1, 2, 3, 4]) offer(id);
  expect(begun).toEqual([1, 2]);
  await end(2);
  expect(begun).toEqual([1, 2, 3]);
  await end(1);
  expect(begun).toEqual([1, 2, 3, 4]);
});

test("a heal that hangs holds up no other one beyond its limit, and its run gets no second one", async () => {
  const { begun, offer, end } = createPatients(healsOf({ atOnce: 1 }));
  offer(1);
  offer(2);
  await vi.advanceTimersByTimeAsync(LIMIT_MS - 1);
  expect(begun).toEqual([1]);
  await vi.advanceTimersByTimeAsync(1);
  expect(begun).toEqual([1, 2]);
  offer(1);
  await end(2);
  expect(begun).toEqual([1, 2]);
  await end(1);
  offer(1);
  expect(begun).toEqual([1, 2, 1]);
});

test("another fault of a run is healed after the first, also if that one is late", async () => {
  const heals = healsOf({ atOnce: 1 });
  const begun: string[] = [];
  const first = Promise.withResolvers<void>();
  const offer = (fault: string): void =>
    heals.offer({ run: { id: 1 }, fault }, () => {
      begun.push(fault);
      return first.promise;
    });
  offer("looked at");
  for (const fault of ["overdue", "overdue", "looked at"]) offer(fault);
  await vi.advanceTimersByTimeAsync(LIMIT_MS);
  expect(begun).toEqual(["looked at"]);
  first.resolve();
  await heals.settled();
  expect(begun).toEqual(["looked at", "overdue"]);
});

test("a late heal that settles gives its place away only once", async () => {
  const { begun, offer, end } = createPatients(healsOf({ atOnce: 1 }));
  for (const id of [1, 2, 3]) offer(id);
  await vi.advanceTimersByTimeAsync(LIMIT_MS);
  await end(1);
  expect(begun).toEqual([1, 2]);
});

test("a run that is waiting for its turn is not queued twice", async () => {
  const { begun, offer, end } = createPatients(healsOf({ atOnce: 1 }));
  for (const id of [1, 2, 2]) offer(id);
  await end(1);
  await end(2);
  expect(begun).toEqual([1, 2]);
});

test("one that fails is logged, holds up no other one, and is tried again after a pause that grows", async () => {
  const { begun, offer, end } = createPatients(healsOf({ atOnce: 1, pauses: doubling(1000, 4000) }));
  for (const pauseMs of [1000, 2000, 4000, 4000]) {
    offer(1);
    await end(1, new Error("away"));
    expect(logged.at(-1)).toEqual({ runId: 1, fault: "broken", reason: "away" });
    const count = begun.length;
    await vi.advanceTimersByTimeAsync(pauseMs - 1);
    offer(1);
    expect(begun).toHaveLength(count);
    await vi.advanceTimersByTimeAsync(1);
  }
  offer(1);
  await end(1);
  offer(1);
  expect(begun).toHaveLength(6);
});

test("a fault that cannot be repaired puts off no other fault of its run", async () => {
  const heals = healsOf({ pauses: doubling(1000, 4000) });
  const begun: string[] = [];
  const offer = async (fault: string): Promise<void> => {
    heals.offer({ run: { id: 1 }, fault }, async () => {
      begun.push(fault);
      throw new Error("away");
    });
    await heals.settled();
  };
  for (const fault of ["no workflow", "overdue", "no workflow", "overdue"]) await offer(fault);
  expect(begun).toEqual(["no workflow", "overdue"]);
});

test("a heal learns for how long it has been failing without a success", async () => {
  const heals = healsOf();
  const failing: number[] = [];
  const offer = async (hasFailed: boolean): Promise<void> => {
    heals.offer(faultOf(1), async (failingForMs) => {
      failing.push(failingForMs);
      if (hasFailed) throw new Error("away");
    });
    await vi.advanceTimersByTimeAsync(500);
  };
  for (const hasFailed of [true, true, false, true]) await offer(hasFailed);
  expect(failing).toEqual([0, 500, 1000, 0]);
});

test("a fault of the cluster is one, whatever its runs have", async () => {
  const heals = healsOf();
  const begun: string[] = [];
  for (const fault of ["no watcher", "no slots", "no watcher"]) {
    heals.offer({ fault }, () => {
      begun.push(fault);
      return never();
    });
  }
  expect(begun).toEqual(["no watcher", "no slots"]);
});

test("waiting for all includes those that were offered by others, and dropped ones do not count", async () => {
  const heals = healsOf({ atOnce: 1 });
  const done: string[] = [];
  heals.offer({ fault: "first" }, async () => {
    heals.offer({ fault: "second" }, async () => void done.push("second"));
    done.push("first");
  });
  await heals.settled();
  expect(done).toEqual(["first", "second"]);
  heals.offer({ fault: "third" }, never);
  heals.offer({ fault: "fourth" }, async () => void done.push("fourth"));
  heals.clear();
  await vi.advanceTimersByTimeAsync(LIMIT_MS);
  expect(done).toEqual(["first", "second"]);
});
