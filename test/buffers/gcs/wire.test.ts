import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Bucket } from "../../../buffers/gcs/bucket.ts";
import { createGcsObjects } from "../../../buffers/gcs/gcs-objects.ts";
import { createGcsStore } from "../../../buffers/gcs/gcs-store.ts";
import { openBucket } from "../../../buffers/gcs/open-bucket.ts";
import { storedBlobs } from "../../../buffers/format/stored-blobs.ts";
import { newBufferId } from "../../../runs/buffers.ts";
import { findGcsEmulator, startGcsEmulator } from "../../fakes/gcs-emulator.ts";
import { GcsServer } from "../../fakes/gcs-server.ts";
import { testBlobs } from "../../ports/blobs.ts";
import { testBufferStore } from "../../ports/buffer-store.ts";
import { testObjectStore } from "../../ports/object-store.ts";

const newPrefix = (): string => `tests/${randomBytes(6).toString("hex")}/`;

/** The tests of the ports, over the wire; `open` connects to a bucket. */
function testOverTheWire(open: () => Bucket, objects: Parameters<typeof testObjectStore>[1] = {}): void {
  describe("buffers", () => {
    testBufferStore(async () => createGcsStore(open(), newPrefix()));
  });
  describe("objects", () => {
    testObjectStore(async () => createGcsObjects(open(), newPrefix()), objects);
  });

  test.for(["bytes", "a stream"])("of 16 racing uploads of %s exactly one gets the name", async (kind) => {
    const name = `${newPrefix()}race`;
    const texts = Array.from({ length: 16 }, (_, i) => `writer ${i}`);
    async function* streamed(text: string): AsyncGenerator<Uint8Array> {
      yield Buffer.from(text);
    }
    const created = await Promise.all(
      texts.map((text) => open().create(name, kind === "bytes" ? Buffer.from(text) : streamed(text), { metadata: {} })),
    );
    const winners = texts.filter((_, i) => created[i] !== undefined);
    expect(winners).toHaveLength(1);
    let stored = "";
    for await (const piece of open().read(name, { from: 0, to: winners[0]?.length ?? 0 }))
      stored += Buffer.from(piece).toString();
    expect(stored).toBe(winners[0]);
  });

  test("names with any characters are one object each", async () => {
    const [bucket, prefix] = [open(), newPrefix()];
    const names = ["a b", "a+b", "a%2Fb", "a/b", "ä?&#"].map((name) => prefix + name);
    for (const name of names) await bucket.create(name, Buffer.from(name), { metadata: { name } });
    for (const name of names) expect((await bucket.find(name))?.metadata).toEqual({ name });
    expect((await bucket.list({ prefix, limit: 100 })).names.toSorted()).toEqual(names.toSorted());
  });
}

describe("a strict server", () => {
  const server = new GcsServer();
  let endpoint: string;
  beforeAll(async () => {
    endpoint = await server.listen();
  });
  afterAll(() => server.close());
  const open = (): Bucket => openBucket({ bucket: server.bucket, endpoint });
  testOverTheWire(open);

  describe("blobs", () => {
    testBlobs(
      async () => {
        const [prefix, id] = [newPrefix(), newBufferId()];
        const store = createGcsStore(open(), prefix);
        await store.provision(id);
        const damage = async (path: string): Promise<void> => {
          const object = server.objects.get(`${prefix}${id}/${path}`);
          if (object) object.bytes = object.bytes.subarray(0, -1);
        };
        return { source: storedBlobs(store, id), damage };
      },
      () => storedBlobs(createGcsStore(open(), newPrefix()), "x".repeat(26)),
    );
  });
});

const emulator = await findGcsEmulator();
describe("fake-gcs-server", () => {
  if ("why" in emulator) {
    test("the tests over the emulator", ({ skip }) => {
      skip(true, emulator.why);
      expect.unreachable();
    });
    return;
  }
  let started: Awaited<ReturnType<typeof startGcsEmulator>>;
  beforeAll(async () => {
    started = await startGcsEmulator(emulator.program);
  });
  afterAll(() => started.close());
  // It answers all prefixes at once, whatever the limit is.
  testOverTheWire(() => openBucket(started), { pageSizes: [3, 100] });
});
