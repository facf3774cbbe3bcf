import { request } from "node:http";
import { connect } from "node:net";
import { beforeEach, expect, test } from "vitest";
import { eventually } from "../eventually.ts";

/** A data plane as its clients see it. */
export interface DataPlane {
  at: { socketPath: string; path: string } | { host: string; port: number };
  newBuffer(): Promise<string>;
  urlOf(bufferId: string, writeable: boolean): string;
}

/** The requests to blobs. The buffer contract, section 3 */
export function testDataPlane(open: () => DataPlane): void {
  let plane: DataPlane;
  beforeEach(() => {
    plane = open();
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
      const sending = request({ ...plane.at, method, path, headers: { ...length, ...headers } });
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
  function pathTo(id: string, blob: string, writeable = true): string {
    const url = plane.urlOf(id, writeable);
    const [path, query] = url.slice(url.indexOf("/containers/")).split("?");
    return `${path}${blob === "" ? "" : `/${blob}`}?${query}`;
  }

  test("a blob comes back with length, MD5 and each x-ms-meta header, whatever the case of the names", async () => {
    const id = await plane.newBuffer();
    const headers = {
      "CONTENT-MD5": "ixqZU8RhEpaoJ6v4xHgE1w==",
      "X-Ms-Meta-Cumulative_Hash_Chain": "any",
      "x-ms-meta-b": "",
    };
    const put = await send("PUT", pathTo(id, "00/000"), { headers, body: "Hello" });
    expect([put.status, put.body]).toEqual([201, ""]);
    for (const method of ["GET", "HEAD"]) {
      const got = await send(method, pathTo(id, "00/000", false));
      expect(got.status).toBe(200);
      expect(got.body).toBe(method === "GET" ? "Hello" : "");
      expect(got.headers).toMatchObject({
        "content-length": "5",
        "content-md5": "ixqZU8RhEpaoJ6v4xHgE1w==",
        "x-ms-meta-cumulative_hash_chain": "any",
        "x-ms-meta-b": "",
      });
      expect(got.headers["transfer-encoding"]).toBeUndefined();
    }
  });

  test("an empty blob has a length of 0 and an MD5 though its writer sent none", async () => {
    const id = await plane.newBuffer();
    expect((await send("PUT", pathTo(id, "00/000"), { body: "" })).status).toBe(201);
    for (const method of ["GET", "HEAD"]) {
      const { status, headers } = await send(method, pathTo(id, "00/000"));
      expect([status, headers["content-length"], headers["content-md5"]]).toEqual([
        200,
        "0",
        "1B2M2Y8AsgTpgAmY7PhCfg==",
      ]);
    }
  });

  test.each(["application/json", "text/plain", "garbage", "application/x-www-form-urlencoded", ""])(
    "the content type %j of an upload is of no interest",
    async (type) => {
      const id = await plane.newBuffer();
      const { status } = await send("PUT", pathTo(id, "00/000"), { headers: { "content-type": type }, body: "{" });
      expect(status).toBe(201);
      expect((await send("GET", pathTo(id, "00/000"))).body).toBe("{");
    },
  );

  test.each([
    ["no such buffer", "GET", () => pathTo("a".repeat(26), "00/000"), 404, "ContainerNotFound"],
    ["no such blob", "GET", (id: string) => pathTo(id, "00/000"), 404, "BlobNotFound"],
    ["a bad buffer name", "GET", () => pathTo("ab", "00/000"), 400, "InvalidContainerName"],
    ["a bad blob name", "GET", (id: string) => pathTo(id, "a-b"), 400, "InvalidBlobName"],
    ["a way out of the buffer", "GET", (id: string) => pathTo(id, "..%2F..%2Fetc"), 400, "InvalidBlobName"],
    ["no credentials", "GET", (id: string) => `/containers/${id}/00/000?api-version=1.0`, 403, "AuthenticationFailed"],
    [
      "another buffer's credentials",
      "GET",
      (id: string) => pathTo("b".repeat(26), "x").replace("b".repeat(26), id),
      403,
      "AuthenticationFailed",
    ],
    [
      "an altered permission",
      "PUT",
      (id: string) => pathTo(id, "x", false).replace("sp=r&", "sp=cr&"),
      403,
      "AuthenticationFailed",
    ],
    ["a read-only URL", "PUT", (id: string) => pathTo(id, "00/000", false), 403, "AuthorizationPermissionMismatch"],
    [
      "blob permissions for a container",
      "DELETE",
      (id: string) => pathTo(id, ""),
      403,
      "AuthorizationPermissionMismatch",
    ],
    [
      "no version",
      "GET",
      (id: string) => pathTo(id, "x").replace("api-version=1.0&", ""),
      400,
      "ApiVersionUnspecified",
    ],
    [
      "another version",
      "GET",
      (id: string) => pathTo(id, "x").replace("api-version=1.0", "api-version=2.0"),
      400,
      "UnsupportedApiVersion",
    ],
  ])("%s: the code is in the header x-ms-error-code", async (_name, method, path, status, code) => {
    const id = await plane.newBuffer();
    const got = await send(method, path(id));
    expect([got.status, got.headers["x-ms-error-code"]]).toEqual([status, code]);
  });

  test("a blob is refused when its MD5 differs, and when it exists already", async () => {
    const id = await plane.newBuffer();
    const headers = { "content-md5": "ixqZU8RhEpaoJ6v4xHgE1w==" };
    const wrong = await send("PUT", pathTo(id, "00/000"), { headers, body: "Hellp" });
    expect([wrong.status, wrong.headers["x-ms-error-code"]]).toEqual([400, "Md5Mismatch"]);
    expect((await send("PUT", pathTo(id, "00/000"), { headers, body: "Hello" })).status).toBe(201);
    const again = await send("PUT", pathTo(id, "00/000"), { body: "x".repeat(3_000_000) });
    expect([again.status, again.headers["x-ms-error-code"]]).toEqual([403, "UnauthorizedBlobOverwrite"]);
  });

  test("every answer has a Request-Id in exactly this spelling", async () => {
    for (const path of ["/healthcheck", "/nowhere", "/containers/abc/x?api-version=1.0", "/a.b"]) {
      const { rawHeaders, headers } = await send("GET", path);
      expect(rawHeaders).toContain("Request-Id");
      expect(headers["request-id"]).toMatch(/\S/);
    }
  });

  test("an aborted upload stores nothing", async () => {
    const id = await plane.newBuffer();
    const socket = connect({ ...plane.at });
    socket.write(
      `PUT ${pathTo(id, "00/000")} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n${"x".repeat(50_000)}`,
    );
    await eventually(() => socket.bytesWritten > 50_000);
    socket.destroy();
    await new Promise((resolve) => socket.once("close", resolve));
    expect((await send("GET", pathTo(id, "00/000"))).status).toBe(404);
    expect((await send("PUT", pathTo(id, "00/000"), { body: "whole" })).status).toBe(201);
  });

  test("a reader that asks for it waits for a blob, also of another connection", async () => {
    const id = await plane.newBuffer();
    const path = pathTo(id, "00/000");
    expect((await send("GET", path)).status).toBe(404);
    expect((await send("GET", path, { headers: { prefer: "wait=1" } })).status).toBe(404);
    const waiting = send("GET", path, { headers: { prefer: "wait=20" } });
    await send("PUT", path, { body: "there" });
    const got = await waiting;
    expect([got.body, got.headers["preference-applied"]]).toEqual(["there", "wait"]);
  });
}
