import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RunningCounts } from "../../activities/running-counts.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function createCounts(answer: () => Promise<void> = async () => undefined) {
  const written: string[] = [];
  const failed: unknown[] = [];
  const record = async ({ id }: { id: number }, count: number): Promise<void> => {
    written.push(`${id}: ${count}`);
    await answer();
  };
  const counts = new RunningCounts({ recordRunningCount: record }, (_run, err) => failed.push(err));
  return { counts, written, failed };
}

test("the replicas of a run that start together are written once, and a later change again", async () => {
  const { counts, written } = createCounts();
  for (let count = 1; count <= 1000; count++) counts.see({ id: 7 }, count);
  counts.see({ id: 8 }, 2);
  await vi.advanceTimersByTimeAsync(1000);
  counts.see({ id: 7 }, 999);
  await vi.advanceTimersByTimeAsync(1000);
  expect(written).toEqual(["7: 1000", "8: 2", "7: 999"]);
});

test("a count that is seen while another one is written follows it", async () => {
  const writing = Promise.withResolvers<void>();
  const { counts, written } = createCounts(() => writing.promise);
  counts.see({ id: 7 }, 3);
  await vi.advanceTimersByTimeAsync(1000);
  counts.see({ id: 7 }, 2);
  await vi.advanceTimersByTimeAsync(1000);
  expect(written).toEqual(["7: 3"]);
  writing.resolve();
  await vi.advanceTimersByTimeAsync(1000);
  expect(written).toEqual(["7: 3", "7: 2"]);
});

test("a count that cannot be written is reported, and after the end of the watch none is written", async () => {
  const { counts, written, failed } = createCounts(() => Promise.reject(new Error("away")));
  counts.see({ id: 7 }, 3);
  await vi.advanceTimersByTimeAsync(1000);
  expect(failed).toHaveLength(1);
  counts.see({ id: 7 }, 3);
  counts.close();
  await vi.advanceTimersByTimeAsync(1000);
  expect(written).toEqual(["7: 3"]);
});
