import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Deliveries } from "../../activities/deliveries.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const exited = (exitCode: number): ReplicaState => ({ container: { phase: "Exited", exitCode } });

interface Call {
  runId: number;
  exitCode: number | undefined;
  answer: PromiseWithResolvers<void>;
}

/** Calls that the test answers. */
function createTemporal() {
  const calls: Call[] = [];
  const failed: number[] = [];
  const deliveries = new Deliveries({
    send: ({ id: runId }, { container: { exitCode } }) => {
      const answer = Promise.withResolvers<void>();
      calls.push({ runId, exitCode, answer });
      return answer.promise;
    },
    failed: ({ id }) => failed.push(id),
  });
  const settle = async (call: Call | undefined, err?: Error): Promise<void> => {
    if (err) call?.answer.reject(err);
    else call?.answer.resolve();
    await vi.advanceTimersByTimeAsync(0);
  };
  return { calls, failed, deliveries, settle };
}

test("while Temporal does not answer, a bounded number of calls is in flight, and one for each run", async () => {
  const { calls, deliveries, settle } = createTemporal();
  for (let round = 0; round < 3; round++) {
    for (let id = 1; id <= 100; id++) deliveries.offer({ id }, exited(round));
    await vi.advanceTimersByTimeAsync(10_000);
  }
  expect(calls.map(({ runId }) => runId)).toEqual(Array.from({ length: 16 }, (_, n) => n + 1));
  await settle(calls[0]);
  // The first of the others, with its newest state.
  expect(calls).toHaveLength(17);
  expect(calls[16]).toMatchObject({ runId: 17, exitCode: 2 });
});

test("of a run that changes while it is being sent, the newest state is sent next", async () => {
  const { calls, deliveries, settle } = createTemporal();
  for (const code of [1, 2, 3]) deliveries.offer({ id: 7 }, exited(code));
  await settle(calls[0]);
  await settle(calls[1]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(calls.map(({ exitCode }) => exitCode)).toEqual([1, 3]);
});

test("a state that could not be sent is sent again after a pause that grows, and reported once", async () => {
  const { calls, failed, deliveries, settle } = createTemporal();
  deliveries.offer({ id: 7 }, exited(1));
  for (const pauseMs of [1000, 2000, 4000, 8000, 8000]) {
    const count = calls.length;
    await settle(calls.at(-1), new Error("Temporal is away"));
    await vi.advanceTimersByTimeAsync(pauseMs - 1);
    expect(calls).toHaveLength(count);
    await vi.advanceTimersByTimeAsync(1);
    expect(calls).toHaveLength(count + 1);
  }
  expect(failed).toEqual([7]);
  await settle(calls.at(-1));
  deliveries.offer({ id: 7 }, exited(2));
  expect(calls.at(-1)?.exitCode).toBe(2);
});

test("nothing more is sent once the watcher has ended", async () => {
  const { calls, deliveries, settle } = createTemporal();
  for (let id = 1; id <= 20; id++) deliveries.offer({ id }, exited(1));
  await settle(calls[0], new Error("Temporal is away"));
  deliveries.close();
  await settle(calls[1]);
  deliveries.offer({ id: 21 }, exited(1));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(calls.map(({ runId }) => runId)).not.toContain(21);
  expect(vi.getTimerCount()).toBe(0);
});
