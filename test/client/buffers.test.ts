import { randomBytes } from "node:crypto";
import { buffer, text } from "node:stream/consumers";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Tyger, connect, type Content } from "../../client/index.ts";
import { startDataPlane, type TestDataPlane } from "../data-plane.ts";
import { FakeServer, reply } from "../fakes/tyger-server.ts";

let server: FakeServer;
let plane: TestDataPlane;
let client: Tyger;
beforeEach(async () => {
  server = await new FakeServer().start();
  plane = await startDataPlane();
  client = await connect({ server: `unix://${server.socketPath}` });
  server.on("POST", /^\/buffers\/[^/]+\/access/, ({ url }, response) => {
    const { pathname, searchParams } = new URL(url, "http://x");
    const uri = plane.urlOf(pathname.split("/")[2] ?? "", searchParams.get("writeable") === "true");
    reply(response, 201, { uri });
  });
});
afterEach(async () => {
  await server.stop();
  await plane.close();
});

async function* chunks(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("a");
  yield Buffer.from("bc");
}

describe("written bytes are read back", () => {
  const cases: [what: string, content: () => Content][] = [
    ["a text", () => "abc"],
    ["bytes", () => new TextEncoder().encode("abc")],
    ["a web stream", () => new Blob(["abc"]).stream()],
    ["a stream of Node", () => Readable.from([Buffer.from("abc")])],
    ["a generator", chunks],
  ];
  test.each(cases)("from %s", async (_what, content) => {
    const id = await plane.newBuffer();
    expect(await client.buffers.write(id, content())).toEqual({ sizeBytes: 3 });
    expect(await text(client.buffers.read(id))).toBe("abc");
  });

  test("through many blocks, whose memory is the reader's own", async () => {
    const bytes = randomBytes(9 << 20);
    const id = await plane.newBuffer();
    await client.buffers.write(id, bytes, { blockSizeBytes: 1 << 20 });
    const kept: Uint8Array[] = [];
    for await (const chunk of client.buffers.read(id)) kept.push(chunk);
    expect(Buffer.concat(kept).equals(bytes)).toBe(true);
  });

  test("through signed URLs, without the server", async () => {
    const id = await plane.newBuffer();
    await client.buffers.write(plane.urlOf(id, true), "abc");
    expect(await text(client.buffers.read(plane.urlOf(id, false)))).toBe("abc");
    expect(server.seen).toEqual([]);
  });

  test("by a reader that comes first", async () => {
    const id = await plane.newBuffer();
    const reading = text(client.buffers.read(id));
    await client.buffers.write(id, "late");
    expect(await reading).toBe("late");
  });
});

test("nothing is requested before the first read", async () => {
  const stream = client.buffers.read(await plane.newBuffer());
  await new Promise((resolve) => void setImmediate(resolve));
  expect(server.seen).toEqual([]);
  await stream.cancel();
});

test("a reader that stops early leaves nothing behind that waits", async () => {
  const id = await plane.newBuffer();
  await client.buffers.write(id, randomBytes(3 << 20), { blockSizeBytes: 1 << 20 });
  for await (const chunk of client.buffers.read(id)) {
    expect(chunk.byteLength).toBe(1 << 20);
    break;
  }
});

test("a block that was changed in the store fails the reader", async () => {
  const good = new FakeServer();
  await good.start();
  try {
    const fake = await connect({ server: `unix://${good.socketPath}` });
    await fake.buffers.write("b", randomBytes(100), { blockSizeBytes: 40 });
    const blob = [...good.blobs].find(([path]) => path.endsWith("/001"))?.[1];
    if (!blob) throw new Error("no second block");
    blob.headers["x-ms-meta-cumulative_hash_chain"] = "AAAAAAAAAAAAAAAAAAAAAA==";
    await expect(buffer(fake.buffers.read("b"))).rejects.toMatchObject({
      code: "Md5Mismatch",
      message: "hash chain mismatch in blob '00/001'",
    });
  } finally {
    await good.stop();
  }
});

test("a second writer is refused", async () => {
  const id = await plane.newBuffer();
  await client.buffers.write(id, "one");
  await expect(client.buffers.write(id, "two")).rejects.toMatchObject({ code: "Conflict" });
  expect(await text(client.buffers.read(id))).toBe("one");
});

test("a source that fails marks the buffer, and its readers fail", async () => {
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("start");
    throw new Error("the camera was unplugged");
  }
  const id = await plane.newBuffer();
  await expect(client.buffers.write(id, failing())).rejects.toThrow("the camera was unplugged");
  await expect(buffer(client.buffers.read(id))).rejects.toThrow("permanently failed");
});

test("an abort marks the buffer, also when no URL had been given yet", async () => {
  const id = await plane.newBuffer();
  const ending = new AbortController();
  let isSilent = true;
  server.on("POST", /access/, (_request, response) => {
    if (!isSilent) return reply(response, 201, { uri: plane.urlOf(id, true) });
    isSilent = false;
    return ending.abort(new Error("enough"));
  });
  await expect(client.buffers.write(id, "x", { signal: ending.signal })).rejects.toThrow("enough");
  await expect(buffer(client.buffers.read(id))).rejects.toThrow("permanently failed");
});

test("a buffer that does not exist is not waited for", async () => {
  server.on("POST", /access/, (_request, response) => {
    reply(response, 404, { error: { code: "NotFound", message: "The resource was not found" } });
  });
  await expect(buffer(client.buffers.read("b"))).rejects.toMatchObject({ code: "NotFound" });
  await expect(client.buffers.write("b", "x")).rejects.toMatchObject({ code: "NotFound" });
});
