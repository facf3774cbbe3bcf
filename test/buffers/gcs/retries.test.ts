import { expect, test } from "vitest";
import { Refusal } from "../../../buffers/gcs/failures.ts";
import type { BucketRequests } from "../../../buffers/gcs/json-api.ts";
import { createBucket } from "../../../buffers/gcs/retries.ts";

test("a bucket that stays busy is given up after 15 seconds, with pauses that double up to 4 seconds and differ", async () => {
  let nowMs = 0;
  const pauses: number[] = [];
  const clock = {
    nowMs: () => nowMs,
    sleep: async (ms: number) => {
      pauses.push(ms);
      nowMs += ms;
    },
  };
  const busy = async (): Promise<never> => {
    throw new Refusal(503, "busy");
  };
  const requests = { stat: busy } as Partial<BucketRequests> as BucketRequests;
  await expect(createBucket("b", requests, { clock }).find("a")).rejects.toMatchObject({ code: "Unavailable" });
  // The last pause ends after the time is up.
  const [last = 0, ...before] = pauses.toReversed();
  expect(nowMs - last).toBeLessThanOrEqual(15_000);
  expect(nowMs).toBeGreaterThan(15_000);
  expect(last).toBeLessThanOrEqual(4000);
  for (const [at, pauseMs] of before.toReversed().entries()) {
    const longest = Math.min(100 * 2 ** at, 4000);
    expect(pauseMs).toBeGreaterThanOrEqual(longest * 0.1);
    expect(pauseMs).toBeLessThanOrEqual(longest);
  }
});
