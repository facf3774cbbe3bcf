import { request } from "node:http";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { CodedError } from "../../../model/errors.ts";
import { startDataPlane, type TestDataPlane } from "../../data-plane.ts";
import { FakeBucket } from "../../fakes/bucket.ts";
import { createGcsStore } from "../../../buffers/gcs/gcs-store.ts";
import { testDataPlane, type DataPlane } from "../../ports/data-plane.ts";
import { refusalOf, sendRaw, UNREADABLE } from "../../raw-request.ts";

let plane: TestDataPlane;
beforeAll(async () => {
  plane = await startDataPlane();
});
afterAll(async () => {
  await plane.close();
});

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  rawHeaders: string[];
  body: string;
}

function send(
  method: string,
  path: string,
  { headers = {}, body }: { headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const sending = request({ socketPath: plane.socketPath, method, path, headers: { ...length, ...headers } });
    sending.on("error", reject);
    sending.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode: status = 0, headers, rawHeaders } = response;
        resolve({ status, headers, rawHeaders, body: Buffer.concat(chunks).toString() });
      });
    });
    sending.end(body);
  });
}

/** Path and query of a blob by a freshly signed URL. */
function pathTo(id: string, blob: string, writeable = true, ttlSeconds = 3600): string {
  const url = plane.urlOf(id, writeable, ttlSeconds);
  const [path, query] = url.slice(url.indexOf(":/containers") + 1).split("?");
  return `${path}${blob === "" ? "" : `/${blob}`}?${query}`;
}

const asClientsSee = (opened: TestDataPlane): DataPlane => ({
  at: { socketPath: opened.socketPath, path: opened.socketPath },
  newBuffer: () => opened.newBuffer(),
  urlOf: (bufferId, writeable) => opened.urlOf(bufferId, writeable),
});

testDataPlane(() => asClientsSee(plane));

describe("over a bucket", () => {
  let overBucket: TestDataPlane;
  beforeAll(async () => {
    overBucket = await startDataPlane(createGcsStore(new FakeBucket(), "buffers/"));
  });
  afterAll(() => overBucket.close());
  testDataPlane(() => asClientsSee(overBucket));
});

test("an unparsable request is refused with a Request-Id, too", async () => {
  for (const [text, status] of UNREADABLE) {
    expect(await sendRaw({ path: plane.socketPath }, text)).toMatch(refusalOf(status));
  }
});

test("a request needs no Host header", async () => {
  const answer = await sendRaw({ path: plane.socketPath }, "GET /healthcheck HTTP/1.1\r\nConnection: close\r\n\r\n");
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
});

test("a path that is not well encoded is an invalid name, and its signature stays out of the answer", async () => {
  const { status, headers, rawHeaders, body } = await send("GET", "/containers/abc/%zz?api-version=1.0&sig=secret");
  expect([status, headers["x-ms-error-code"], body]).toEqual([400, "InvalidBlobName", ""]);
  expect(rawHeaders).toContain("Request-Id");
});

test("an unknown route is InvalidRoute, or a bare 404 if the path looks like a file", async () => {
  const unknown = await send("GET", "/nowhere");
  expect([unknown.status, JSON.parse(unknown.body)]).toMatchObject([400, { error: { code: "InvalidRoute" } }]);
  const file = await send("GET", "/favicon.ico");
  expect([file.status, file.body]).toEqual([404, ""]);
  const health = await send("GET", "/healthcheck");
  expect([health.status, health.body]).toEqual([200, "Healthy"]);
});

test("only a request that asks for it waits for a missing blob", async () => {
  const id = await plane.newBuffer();
  const path = pathTo(id, "00/000");
  const waits = vi.spyOn(plane.store, "waitFor");
  onTestFinished(() => waits.mockRestore());
  expect((await send("GET", path)).status).toBe(404);
  expect(waits).not.toHaveBeenCalled();
  expect((await send("GET", path, { headers: { prefer: "wait=1" } })).status).toBe(404);
  // The part of the second that is left by then.
  const asked = waits.mock.calls.map(([, , waitMs]) => waitMs);
  expect(Math.max(...asked)).toBeGreaterThan(0);
  expect(Math.max(...asked)).toBeLessThanOrEqual(1000);
  const waiting = send("GET", path, { headers: { prefer: "wait=20" } });
  await send("PUT", path, { body: "there" });
  expect((await waiting).body).toBe("there");
});

test("a full disk is not reported as a busy server, and the answer names the cause", async () => {
  const id = await plane.newBuffer();
  const cause = Object.assign(new Error("no space"), { code: "ENOSPC" });
  const put = vi.spyOn(plane.store, "put");
  put.mockRejectedValueOnce(new CodedError("Unavailable", "The buffer store has no space left", { cause }));
  const { status, body } = await send("PUT", pathTo(id, "00/000"), { body: "x" });
  expect([status, JSON.parse(body)]).toMatchObject([507, { error: { message: "The buffer store has no space left" } }]);
});

test("a damaged file is reported as damaged", async () => {
  const id = await plane.newBuffer();
  await writeFile(join(plane.dir, "buffers", id, "00-000"), "no blob");
  const { status, body } = await send("GET", pathTo(id, "00/000"));
  expect([status, body]).toEqual([409, expect.stringContaining("is damaged")]);
});

test.each([
  ["ends too early", () => {}],
  [
    "cannot be read on",
    () => {
      throw new Error("EIO");
    },
  ],
])("the answer with a blob that %s is cut off, and the next request is answered as always", async (_what, end) => {
  const id = await plane.newBuffer();
  await send("PUT", pathTo(id, "00/000"), { body: "Hello" });
  async function* body(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("Hel");
    end();
  }
  const head = { sizeBytes: 5, contentMd5: "ixqZU8RhEpaoJ6v4xHgE1w==", metadata: {} };
  const get = vi.spyOn(plane.store, "get").mockResolvedValueOnce({ ...head, body: body() });
  await expect(send("GET", pathTo(id, "00/000"))).rejects.toMatchObject({ code: "ECONNRESET" });
  get.mockRestore();
  expect((await send("GET", pathTo(id, "00/000"))).body).toBe("Hello");
});
