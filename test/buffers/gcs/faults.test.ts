import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Bucket } from "../../../buffers/gcs/bucket.ts";
import { createGcsStore } from "../../../buffers/gcs/gcs-store.ts";
import { openBucket } from "../../../buffers/gcs/open-bucket.ts";
import { readBuffer } from "../../../buffers/format/reader.ts";
import { storedBlobs } from "../../../buffers/format/stored-blobs.ts";
import { writeBuffer } from "../../../buffers/format/writer.ts";
import { every } from "../../../waiting/retry.ts";
import { eventually } from "../../eventually.ts";
import { GcsServer, type Fault, type SeenRequest } from "../../fakes/gcs-server.ts";

let server: GcsServer;
let endpoint: string;
let bucket: Bucket;
const QUICK = { pauses: every(1), outageMs: 5000, stallMs: 5000 };
const open = (options = {}): Bucket => openBucket({ bucket: server.bucket, endpoint, ...QUICK, ...options });
/** A busy machine looks as if the server stalled, so this is only for those that do. */
const openFor = (fault: Fault): Bucket => open(String(fault).startsWith("stall") ? { stallMs: 200 } : {});
beforeEach(async () => {
  server = new GcsServer();
  endpoint = await server.listen();
  bucket = open();
});
afterEach(() => server.close());

const TEXT = Buffer.from("some bytes of a blob");
const facts = (bytes: Uint8Array) => ({
  contentMd5: createHash("md5").update(bytes).digest("base64"),
  metadata: { cumulative_hash_chain: "chain=" },
});
async function bytesOf(name: string, to: number, asked = bucket): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of asked.read(name, { from: 0, to })) pieces.push(piece);
  return Buffer.concat(pieces);
}
async function* streamOf(...pieces: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}
const stored = (name: string): string | undefined => server.objects.get(name)?.bytes.toString();

const PASSING: Fault[] = [408, 429, 500, 502, 503, "reset", "lostAnswer", "cut", "stall", "stallAfter"];

describe("an upload from memory", () => {
  test.for([...PASSING, "garble"] as Fault[])("is stored once and reported as stored after: %s", async (fault) => {
    server.fail(fault, "upload");
    const created = await openFor(fault).create("a", TEXT, facts(TEXT));
    expect(created).toMatchObject({ name: "a", sizeBytes: TEXT.length, ...facts(TEXT) });
    expect(stored("a")).toBe(TEXT.toString());
    expect(server.count("upload")).toBeGreaterThan(1);
    expect(await bucket.find("a")).toEqual(created);
  });

  test("whose answer is lost, and whose question about that too, is still its own", async () => {
    server.fail("lostAnswer", "upload");
    server.fail(503, "stat", 2);
    server.fail("reset", "upload");
    expect(await bucket.create("a", TEXT, facts(TEXT))).toMatchObject({ name: "a" });
    expect(stored("a")).toBe(TEXT.toString());
  });

  test("that never arrived does not take the same bytes of another writer for its own", async () => {
    const other = open();
    let theirs: Promise<unknown> | undefined;
    server.fail("reset", ({ kind }) => {
      if (kind !== "upload" || theirs) return false;
      theirs = other.create("a", TEXT, facts(TEXT));
      return true;
    });
    // Not before the other writer has stored its object.
    server.fail(503, ({ kind }) => kind === "upload" && server.objects.size === 0 && server.count("upload") > 2, 100);
    const ours = await bucket.create("a", TEXT, facts(TEXT));
    expect([ours, await theirs]).toEqual([undefined, expect.objectContaining({ name: "a" })]);
  });

  test("finds that a name is taken at once, also by the same bytes", async () => {
    await open().create("a", TEXT, facts(TEXT));
    expect(await bucket.create("a", TEXT, facts(TEXT))).toBeUndefined();
    expect([server.count("upload"), server.count("stat")]).toEqual([2, 0]);
  });

  test.for(["reset", "lostAnswer", 503] as Fault[])(
    "of 16 that race and all suffer %s, exactly one wins",
    async (fault) => {
      server.fail(fault, "upload", 16);
      const texts = Array.from({ length: 16 }, (_, i) => Buffer.from(`writer ${i}`));
      const created = await Promise.all(texts.map((text) => open().create("a", text, facts(text))));
      const winners = texts.filter((_, i) => created[i] !== undefined).map(String);
      expect(winners).toEqual([stored("a")]);
    },
  );
});

describe("a stream", () => {
  test("is sent once, and a failure is the caller's to repeat", async () => {
    server.fail(503, "upload");
    const sent = bucket.create("a", streamOf(TEXT), { metadata: {} });
    await expect(sent).rejects.toMatchObject({
      code: "Unavailable",
      message: "The bucket 'test-bucket' is busy (503): injected 503",
    });
    expect([server.count("upload"), stored("a")]).toEqual([1, undefined]);
  });

  test("that changed on its way is not stored, also without an announced MD5", async () => {
    server.fail("garble", "upload");
    await expect(bucket.create("a", streamOf(TEXT), { metadata: {} })).rejects.toMatchObject({ code: "Unavailable" });
    expect(stored("a")).toBeUndefined();
  });

  test("that breaks off gives its connection up, and the error is its own", async () => {
    async function* torn(): AsyncGenerator<Uint8Array> {
      yield randomBytes(100_000);
      throw Object.assign(new Error("the client left"), { code: "ECONNRESET" });
    }
    await expect(bucket.create("a", torn(), { metadata: {} })).rejects.toThrow("the client left");
    await eventually(async () => (await server.connections()) === 0);
    expect(server.objects.size).toBe(0);
  });

  test("that the server refuses early ends, and its connection is not used again", async () => {
    server.fail(403, "upload");
    let [sent, isLeft] = [0, false];
    async function* long(): AsyncGenerator<Uint8Array> {
      try {
        for (; sent < 2000; sent++) yield Buffer.alloc(100_000);
      } finally {
        isLeft = true;
      }
    }
    await expect(bucket.create("a", long(), { metadata: {} })).rejects.toMatchObject({ code: "Unavailable" });
    expect([isLeft, sent < 2000]).toEqual([true, true]);
    expect(await bucket.find("a")).toBeUndefined();
  });
});

describe("a body of unknown length", () => {
  const newStore = async () => {
    const store = createGcsStore(bucket, "b/");
    await store.provision("abc");
    return store;
  };

  test("that is small is held, so that it can be sent again", async () => {
    const store = await newStore();
    server.fail(503, "upload");
    server.fail("reset", "upload");
    const bytes = randomBytes(5_000_000);
    await store.put("abc", "00/000", Readable.from([bytes.subarray(0, 10), bytes.subarray(10)]), { metadata: {} });
    expect(server.objects.get("b/abc/00/000")?.bytes.equals(bytes)).toBe(true);
  });

  test("that is large is passed on while it arrives", async () => {
    const store = await newStore();
    let arrived = 0;
    server.fail(503, "upload");
    const body = Readable.from(
      (async function* () {
        for (; arrived < 12; arrived++) yield randomBytes(1024 * 1024);
      })(),
    );
    await expect(store.put("abc", "00/000", body, { metadata: {} })).rejects.toMatchObject({ code: "Unavailable" });
    const whole = Array.from({ length: 12 }, () => randomBytes(1024 * 1024));
    const head = await store.put("abc", "00/000", Readable.from(whole), { metadata: {} });
    expect(head.contentMd5).toBe(facts(Buffer.concat(whole)).contentMd5);
    expect(server.count("upload")).toBe(3);
  });

  test("whose MD5 is not the announced one is not stored, large or small", async () => {
    const store = await newStore();
    const { contentMd5 } = facts(TEXT);
    for (const pieces of [[Buffer.from("x")], Array.from({ length: 12 }, () => randomBytes(1024 * 1024))]) {
      const put = store.put("abc", "00/000", Readable.from(pieces), { contentMd5, metadata: {} });
      await expect(put).rejects.toMatchObject({ code: "Md5Mismatch" });
    }
    expect([...server.objects.keys()]).toEqual(["b/abc/-container"]);
  });
});

describe("other calls", () => {
  beforeEach(async () => {
    await bucket.create("a", TEXT, facts(TEXT));
  });
  const calls: Record<string, [SeenRequest["kind"], (asked: Bucket) => Promise<unknown>, unknown]> = {
    find: ["stat", (asked) => asked.find("a"), expect.objectContaining({ sizeBytes: TEXT.length })],
    list: ["list", (asked) => asked.list({ prefix: "", limit: 10 }), { names: ["a"], prefixes: [] }],
    read: ["download", (asked) => bytesOf("a", TEXT.length, asked), TEXT],
    settings: ["settings", (asked) => asked.settings(), expect.objectContaining({ location: "EUROPE-WEST4" })],
  };
  test.for(Object.entries(calls).flatMap(([name, call]) => PASSING.map((fault) => [name, fault, ...call] as const)))(
    "%s succeeds after %s",
    async ([, fault, kind, call, answer]) => {
      server.fail(fault, kind, 2);
      expect(await call(openFor(fault))).toEqual(answer);
      expect(server.count(kind)).toBeGreaterThan(2);
    },
  );

  test.for(PASSING)("an object is removed after %s, whether or not the first attempt did it", async (fault) => {
    server.fail(fault, "remove");
    await openFor(fault).remove("a");
    await bucket.remove("a");
    expect(server.objects.size).toBe(0);
  });

  test("a download that is cut continues where it was, and leaves others alone", async () => {
    const bytes = randomBytes(3_000_000);
    await bucket.create("big", bytes, facts(bytes));
    await bucket.create("other", bytes, facts(bytes));
    server.fail("cut", ({ name }) => name === "big", 2);
    const [big, other] = await Promise.all([bytesOf("big", bytes.length), bytesOf("other", bytes.length)]);
    expect([big.equals(bytes), other.equals(bytes)]).toEqual([true, true]);
    const downloads = server.seen.filter(({ kind }) => kind === "download").map(({ name }) => name);
    expect(downloads.toSorted()).toEqual(["big", "big", "big", "other"]);
  });

  test("a reader that stops early gives its connection up", async () => {
    const bytes = Buffer.alloc(40_000_000); // More than the sockets hold.
    await bucket.create("big", bytes, facts(bytes));
    for await (const _ of bucket.read("big", { from: 0, to: bytes.length })) break;
    expect(await eventually(async () => (await server.connections()) === 0)).toBe(true);
  });

  test("an object that another one replaced is not continued with", async () => {
    const bytes = randomBytes(3_000_000);
    const first = await bucket.create("big", bytes, facts(bytes));
    const reading = bucket.read("big", { from: 0, to: bytes.length, generation: first?.generation ?? "" });
    server.fail("cut", "download");
    await reading.next();
    await open().remove("big");
    await open().create("big", randomBytes(3_000_000), { metadata: {} });
    const rest = async (): Promise<void> => {
      for await (const _ of reading);
    };
    await expect(rest()).rejects.toThrow("There is no object 'big'");
  });
});

describe("a bucket that cannot be asked", () => {
  const callsOf = (asked: Bucket): Record<string, () => Promise<unknown>> => ({
    create: () => asked.create("a", TEXT, facts(TEXT)),
    stream: () => asked.create("a", streamOf(TEXT), { metadata: {} }),
    find: () => asked.find("a"),
    read: () => asked.read("a", { from: 0, to: 1 }).next(),
    list: () => asked.list({ prefix: "", limit: 1 }),
    remove: () => asked.remove("a"),
    settings: () => asked.settings(),
  });
  const messagesOf = async (asked: Bucket): Promise<Set<string>> => {
    const messages = new Set<string>();
    for (const call of Object.values(callsOf(asked))) {
      const thrown = await call().then(
        () => "no error",
        (err: unknown) => err,
      );
      expect(thrown).toMatchObject({ code: "Unavailable" });
      messages.add(String(thrown));
    }
    return messages;
  };

  test("because there is none is not one without the object", async () => {
    server.bucketExists = false;
    expect(await messagesOf(bucket)).toEqual(new Set(["CodedError: The bucket 'test-bucket' does not exist"]));
  });

  test("because it was removed while it was in use is noticed", async () => {
    expect(await bucket.find("a")).toBeUndefined();
    server.bucketExists = false;
    await eventually(() =>
      bucket.find("a").then(
        () => false,
        (err: unknown) => (expect(err).toMatchObject({ code: "Unavailable" }), true),
      ),
    );
  });

  test("because we may not is an error at once, with what the server says", async () => {
    server.fail(403, () => true, 1000);
    const sentence = "CodedError: The bucket 'test-bucket' refuses access: injected 403";
    expect(await messagesOf(bucket)).toEqual(new Set([sentence]));
    expect(server.seen).toHaveLength(7);
  });

  test.for([
    [503, /is busy \(503\): injected 503$/],
    ["reset", /cannot be reached: the connection was (?:reset|closed)$/],
    ["stall", /cannot be reached: it stopped answering$/],
  ] as [Fault, RegExp][])("because of %s is given up after a while", async ([fault, reason]) => {
    server.fail(fault, () => true, 1000);
    const messages = [...(await messagesOf(open({ outageMs: 20, ...(fault === "stall" && { stallMs: 20 }) })))];
    expect(messages.filter((message) => !reason.test(message))).toEqual([]);
  });

  test("because nothing listens there is given up after a while", async () => {
    await server.close();
    const sentence = "CodedError: The bucket 'test-bucket' cannot be reached: nothing is listening there";
    expect(await messagesOf(open({ outageMs: 20 }))).toEqual(new Set([sentence]));
  });
});

test("metadata that a bucket would refuse is refused before anything is sent", async () => {
  const create = bucket.create("a", TEXT, { metadata: { long: "x".repeat(8200) } });
  await expect(create).rejects.toMatchObject({ code: "InvalidInput" });
  expect(server.seen).toEqual([]);
});

test("a buffer is written and read whole while every fifth request fails, each time in another way", async () => {
  const store = createGcsStore(bucket, "b/");
  await store.provision("abc");
  const faults: Fault[] = [503, "reset", "lostAnswer", "cut", 429, "garble", 500];
  let requests = 0;
  for (const [at, fault] of faults.entries()) {
    server.fail(fault, () => (at === 0 ? (requests += 1) : requests) % (5 * faults.length) === 5 * at + 4, 1000);
  }
  const bytes = randomBytes(8_000_000);
  const pieces = Array.from({ length: 80 }, (_, i) => bytes.subarray(i * 100_000, (i + 1) * 100_000));
  const blobs = storedBlobs(store, "abc");
  await writeBuffer(Readable.from(pieces), blobs, { blockSizeBytes: 100_000 });
  const read: Buffer[] = [];
  for await (const piece of readBuffer(blobs)) read.push(Buffer.from(piece));
  expect(Buffer.concat(read).equals(bytes)).toBe(true);
  expect(server.objects.size).toBe(1 + 1 + 80 + 1 + 1);
  expect(server.faulted).toBeGreaterThan(20);
});
