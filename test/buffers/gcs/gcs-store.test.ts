import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { createGcsObjects } from "../../../buffers/gcs/gcs-objects.ts";
import { createGcsStore } from "../../../buffers/gcs/gcs-store.ts";
import { eventually } from "../../eventually.ts";
import { FakeBucket } from "../../fakes/bucket.ts";
import { testBufferStore } from "../../ports/buffer-store.ts";
import { testObjectStore } from "../../ports/object-store.ts";

describe("buffers", () => {
  testBufferStore(async () => createGcsStore(new FakeBucket(), "tyger/abcdefghij/buffers/"));
});
describe("objects", () => {
  testObjectStore(async () => createGcsObjects(new FakeBucket(), "tyger/abcdefghij/logs/"));
});

const put = (store: ReturnType<typeof createGcsStore>, id: string, path: string, text = "x") =>
  store.put(id, path, Readable.from([Buffer.from(text)]), { metadata: {} });

test("stores with different prefixes in one bucket share nothing", async () => {
  const bucket = new FakeBucket();
  const [ours, theirs] = [createGcsStore(bucket, "a/buffers/"), createGcsStore(bucket, "b/buffers/")];
  await ours.provision("abc");
  await put(ours, "abc", "00/000");
  expect([await ours.exists("abc"), await theirs.exists("abc")]).toEqual([true, false]);
  await theirs.delete("abc");
  expect((await ours.head("abc", "00/000")).sizeBytes).toBe(1);
});

test("a purge of 100,000 blobs lists them in pages and can be continued after it broke off", async () => {
  const bucket = new FakeBucket();
  const store = createGcsStore(bucket, "b/");
  await store.provision("abc");
  for (let number = 0; number < 100_000; number++) {
    await bucket.create(`b/abc/${number}`, new Uint8Array(), { metadata: {} });
  }
  const remove = bucket.remove.bind(bucket);
  let [active, most, left] = [0, 0, 30_000];
  bucket.remove = async (name) => {
    if ((left -= 1) === 0) throw new Error("killed");
    most = Math.max(most, (active += 1));
    await remove(name).finally(() => (active -= 1));
  };
  await expect(store.delete("abc")).rejects.toThrow("killed");
  expect(await store.exists("abc")).toBe(false);
  await expect(store.get("abc", "00/000")).rejects.toMatchObject({ code: "ContainerNotFound" });
  await store.delete("abc");
  expect((await bucket.list({ prefix: "b/", limit: 10 })).names).toEqual([]);
  expect([most, bucket.longestPage]).toEqual([32, 1000]);
});

test("a buffer that another process purged is gone after at most two seconds", async () => {
  const bucket = new FakeBucket();
  const [ours, theirs] = [createGcsStore(bucket, "b/"), createGcsStore(bucket, "b/")];
  await ours.provision("abc");
  await put(ours, "abc", "00/000");
  await theirs.delete("abc");
  expect(await ours.exists("abc")).toBe(false);
  await bucket.create("b/abc/00/001", new Uint8Array(), { metadata: {} });
  await eventually(() =>
    ours.head("abc", "00/001").then(
      () => false,
      (err: unknown) => (expect(err).toMatchObject({ code: "ContainerNotFound" }), true),
    ),
  );
});

test("many requests to one buffer ask for it once", async () => {
  const bucket = new FakeBucket();
  const store = createGcsStore(bucket, "b/");
  await createGcsStore(bucket, "b/").provision("abc");
  const before = bucket.calls["find"] ?? 0;
  await Promise.all(Array.from({ length: 20 }, (_, number) => put(store, "abc", `00/${100 + number}`)));
  expect((bucket.calls["find"] ?? 0) - before).toBe(1);
});

test("a wait for a blob of the same process ends at once, that for one of another process by looking", async () => {
  const bucket = new FakeBucket();
  const [ours, theirs] = [createGcsStore(bucket, "b/"), createGcsStore(bucket, "b/")];
  await ours.provision("abc");
  const never = new AbortController().signal;
  const waited = [ours.waitFor("abc", "00/001", 60_000, never), ours.waitFor("abc", "00/002", 60_000, never)];
  await eventually(() => (bucket.calls["find"] ?? 0) >= 2);
  const looks = bucket.calls["find"] ?? 0;
  await put(ours, "abc", "00/001");
  await waited[0];
  expect((bucket.calls["find"] ?? 0) - looks).toBeLessThanOrEqual(2);
  await put(theirs, "abc", "00/002");
  await waited[1];
});
