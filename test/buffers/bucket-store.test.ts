import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { FakeBucket } from "../fakes/bucket.ts";
import { createBucketObjects, createBucketStore } from "../fakes/bucket-store.ts";
import { testBufferStore } from "../ports/buffer-store.ts";
import { testObjectStore } from "../ports/object-store.ts";

/** The ports over a bucket, which has neither folders nor renames, and notifies of nothing. */
describe("buffers", () => {
  testBufferStore(async () => createBucketStore(new FakeBucket(), "tyger/abcdefghij/buffers/"));
});
describe("objects", () => {
  testObjectStore(async () => createBucketObjects(new FakeBucket(), "tyger/abcdefghij/logs/"));
});

test("stores with different prefixes in one bucket share nothing", async () => {
  const bucket = new FakeBucket();
  const [ours, theirs] = [createBucketStore(bucket, "a/buffers/"), createBucketStore(bucket, "b/buffers/")];
  await ours.provision("abc");
  await ours.put("abc", "00/000", Readable.from([Buffer.from("x")]), { metadata: {} });
  expect([await ours.exists("abc"), await theirs.exists("abc")]).toEqual([true, false]);
  await theirs.delete("abc");
  expect((await ours.head("abc", "00/000")).sizeBytes).toBe(1);
});
