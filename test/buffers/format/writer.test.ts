import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { BlobSource } from "../../../buffers/format/blobs.ts";
import { flushPauseMs, writeBuffer } from "../../../buffers/format/writer.ts";

test.each([
  [1000, 0, 1000],
  [1000, 60, 1000],
  [1000, 61, 2000],
  [1000, 90, 2000],
  [1000, 91, 3000],
  [1000, 1000, 5000],
  [20_000, 1000, 20_000],
  [10, 61, 20],
])("with an interval of %d ms, after %d partial blocks bytes wait %d ms", (intervalMs, partialBlocks, expected) => {
  expect(flushPauseMs(intervalMs, partialBlocks)).toBe(expected);
});

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
afterEach(() => void vi.useRealTimers());

/** Stores nothing; the sizes of the blobs. */
function counted(): { target: BlobSource; sizes: number[] } {
  const sizes: number[] = [];
  const put = async (path: string, bytes: Uint8Array): Promise<boolean> => {
    if (!path.startsWith(".")) sizes.push(bytes.length);
    return true;
  };
  const blobs = { put, get: async () => undefined, exists: async () => false };
  return { target: { open: () => blobs }, sizes };
}
async function* trickle(seconds: number, bytes: (second: number) => number): AsyncGenerator<Uint8Array> {
  for (let second = 0; second < seconds; second++) {
    yield new Uint8Array(bytes(second));
    await new Promise((resolve) => void setTimeout(() => resolve(undefined), 1000));
  }
}

test("a stream that trickles for ten minutes is cut less and less often, and a full block makes it quick again", async () => {
  const [slow, mixed] = [counted(), counted()];
  const options = { blockSizeBytes: 100 };
  const writes = [
    writeBuffer(
      trickle(600, () => 1),
      slow.target,
      options,
    ),
    writeBuffer(
      trickle(600, (second) => (second % 50 === 49 ? 100 : 1)),
      mixed.target,
      options,
    ),
  ];
  await vi.advanceTimersByTimeAsync(601_000);
  expect(await Promise.all(writes)).toEqual([{ sizeBytes: 600 }, { sizeBytes: 600 + 12 * 99 }]);
  // One a second would be 600.
  expect(slow.sizes.length).toBeGreaterThan(150);
  expect(slow.sizes.length).toBeLessThan(250);
  expect(mixed.sizes.length).toBeGreaterThan(500);
});
