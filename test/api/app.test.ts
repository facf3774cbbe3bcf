import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { createFakeApi, type FakeApi } from "../fakes/api.ts";
import { refusalOf, sendRaw, UNREADABLE } from "../raw-request.ts";

let api: FakeApi;
beforeEach(() => {
  api = createFakeApi();
});
afterEach(() => api.app.close());

const get = (url: string) => api.app.inject({ method: "GET", url });
const JSON_TYPE = { "content-type": "application/json" };

describe("version negotiation", () => {
  test.each([
    ["/runs", "ApiVersionUnspecified", "Unspecified API version"],
    ["/runs?api-version=", "ApiVersionUnspecified", "Unspecified API version"],
    ["/runs?api-version=0.1", "UnsupportedApiVersion", "Unsupported API version"],
    ["/runs?api-version=2.0", "UnsupportedApiVersion", "Unsupported API version"],
    ["/runs?api-version=abc", "InvalidApiVersion", "Invalid API version"],
    ["/runs?api-version=1.0&api-version=2.0", "AmbiguousApiVersion", "Ambiguous API version"],
    ["/runs/abc", "ApiVersionUnspecified", "Unspecified API version"],
    ["/v1/runs?api-version=2.0", "UnsupportedApiVersion", "Unsupported API version"],
  ])("%s is refused with %s", async (url, code, message) => {
    const answer = await get(url);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toEqual({ error: { code, message, apiVersions: ["1.0"] } });
  });

  test.each([
    "/runs?api-version=1.0",
    "/runs?api-version=1.0&api-version=1.0",
    "/v1/runs",
    "/v1/runs?api-version=",
    "/v1/runs?api-version=1.0",
    "/runs/?api-version=1.0",
    "/metadata",
    "/metadata?api-version=99",
    "/v1/metadata?api-version=99",
    "/healthcheck",
    "/database-version-in-use",
  ])("%s is answered", async (url) => {
    expect((await get(url)).statusCode).toBe(200);
  });

  test("the link to the next page of an old client has no prefix and can be followed as it is", async () => {
    for (const name of ["a", "b"]) {
      await api.app.inject({ method: "PUT", url: `/v1/codespecs/${name}`, payload: { kind: "job", image: "i" } });
    }
    const { nextLink } = (await get("/v1/codespecs?limit=1")).json();
    expect(nextLink).toBe("/codespecs?limit=1&api-version=1.0&_ct=after-a");
    expect((await get(nextLink)).json().items).toHaveLength(1);
  });
});

describe("a caller without a role", () => {
  const ID = "a".repeat(26);
  test.each([
    ["POST", "/runs", { job: { codespec: { kind: "job", image: "ubuntu" } } }],
    ["GET", "/runs"],
    ["GET", "/runs/counts"],
    ["GET", "/runs/1"],
    ["GET", "/runs/1?watch=true"],
    ["GET", "/runs/1/logs"],
    ["POST", "/runs/1/cancel"],
    ["PUT", "/codespecs/a", { kind: "job", image: "ubuntu" }],
    ["GET", "/codespecs"],
    ["GET", "/codespecs/hello"],
    ["POST", "/buffers", {}],
    ["GET", `/buffers/${ID}`],
    ["POST", `/buffers/${ID}/access`],
  ] as const)("is refused by %s %s", async (method, path, payload?: object) => {
    api.caller = { subject: "eve", roles: [] };
    const url = `${path}${path.includes("?") ? "&" : "?"}api-version=1.0`;
    const answer = await api.app.inject({ method, url, ...(payload && { payload }) });
    expect([answer.statusCode, answer.json()]).toEqual([
      403,
      { error: { code: "Forbidden", message: "'eve' has no role on this server" } },
    ]);
    expect([api.runRows.size, api.bufferRows.size, api.told]).toEqual([0, 0, []]);
  });

  test("is refused a repeat of an idempotency key, too", async () => {
    const request = {
      method: "POST",
      url: "/runs?api-version=1.0",
      payload: { job: { codespec: { kind: "job", image: "ubuntu" } } },
      headers: { "idempotency-key": "k" },
    } as const;
    expect((await api.app.inject(request)).statusCode).toBe(201);
    api.caller = { subject: "eve", roles: [] };
    expect((await api.app.inject(request)).statusCode).toBe(403);
  });

  test("gets the routes that need no version", async () => {
    api.caller = { subject: "eve", roles: [] };
    for (const url of ["/metadata", "/healthcheck", "/database-version-in-use"]) {
      expect((await get(url)).statusCode).toBe(200);
    }
  });
});

describe("answers", () => {
  test("each carries a request id under the exact name", async () => {
    await api.app.listen({ port: 0, host: "127.0.0.1" });
    const url = `http://127.0.0.1:${(api.app.server.address() as { port: number }).port}`;
    for (const path of ["/metadata", "/runs", "/nowhere", "/x.js", "/runs/%zz?api-version=1.0"]) {
      const rawHeaders = await new Promise<string[]>((resolve, reject) => {
        request(url + path, (res) => {
          res.resume();
          resolve(res.rawHeaders);
        })
          .on("error", reject)
          .end();
      });
      expect(rawHeaders).toContain("Request-Id");
    }
  });

  test("an unparsable request gets the standard error body", async () => {
    await api.app.listen({ port: 0, host: "127.0.0.1" });
    const { port } = api.app.server.address() as { port: number };
    for (const [text, status] of UNREADABLE) expect(await sendRaw({ port }, text)).toMatch(refusalOf(status));
  });

  test("a request needs no Host header", async () => {
    await api.app.listen({ port: 0, host: "127.0.0.1" });
    const { port } = api.app.server.address() as { port: number };
    const answer = await sendRaw({ port }, "GET /healthcheck HTTP/1.1\r\nConnection: close\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });

  test("an unknown route or method is refused without a version, and a file gets a bare 404", async () => {
    for (const [method, url] of [
      ["GET", "/nowhere"],
      ["DELETE", "/runs/1/cancel"],
      ["POST", "/metadata"],
      ["POST", "/nowhere/deep?api-version=1.0"],
    ] as const) {
      const answer = await api.app.inject({ method, url, headers: JSON_TYPE, payload: "{bad" });
      expect([answer.statusCode, answer.json().error.code]).toEqual([400, "InvalidRoute"]);
    }
    const file = await get("/favicon.ico");
    expect([file.statusCode, file.body]).toEqual([404, ""]);
  });

  test("a bug answers 500 without a text, and is logged", async () => {
    api.codespecs.list = async () => {
      throw new Error("secret detail");
    };
    const answer = await get("/codespecs?api-version=1.0");
    expect([answer.statusCode, answer.body]).toEqual([500, ""]);
    expect(api.logged.find(({ message }) => message === "unhandled error")).toMatchObject({
      level: "error",
      category: "test",
      timestamp: expect.stringMatching(/^\d{4}-/),
    });
  });

  test("the baggage of a request is on its log lines", async () => {
    await api.app.inject({ method: "GET", url: "/metadata", headers: { baggage: "a=1, b=x%20y;p=q" } });
    expect(api.logged.at(-1)).toMatchObject({ message: "request answered", baggage: { a: "1", b: "x y" } });
  });

  test("metadata tells clients of the socket and of TCP where the data is", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tyger-app-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const socketPath = join(folder, "api.sock");
    await api.app.listen({ path: socketPath });
    const [answer] = (await once(request({ socketPath, path: "/metadata" }).end(), "response")) as [IncomingMessage];
    expect(await json(answer)).toEqual({
      capabilities: ["Docker", "LocalBuffers"],
      apiVersions: ["1.0"],
      storageEndpoints: ["http+unix:///run/data.sock"],
    });
    const tcp = (await api.app.inject({ method: "GET", url: "/metadata", headers: { host: "host:1" } })).json();
    expect(tcp).toEqual({ capabilities: ["Docker"], apiVersions: ["1.0"], storageEndpoints: ["http://host:1"] });
  });

  test("the server is healthy when all its parts are", async () => {
    expect((await get("/healthcheck")).body).toBe("Healthy");
    api.isHealthy = false;
    const answer = await get("/healthcheck");
    expect([answer.statusCode, answer.body]).toEqual([503, "Unhealthy"]);
  });
});

describe("request bodies", () => {
  const post = (payload: string | Buffer, headers: Record<string, string> = JSON_TYPE) =>
    api.app.inject({ method: "POST", url: "/buffers?api-version=1.0", payload, headers });

  test.each([
    ["{}"],
    ['{"id":"","createdAt":"0001-01-01T00:00:00Z"}'],
    ['{"Tags":{"a":"1",},"LOCATION":"Local",}'],
    ['{"tags":{},"location":"","expiresAt":null}'],
    ['{"location":"local","tags":{"a":""}}'],
    ['\uFEFF{"tags":{"a":"}, ]"},\n}'.replace("}, ]", "b")],
  ])("%s is accepted", async (body) => {
    expect((await post(body)).statusCode).toBe(201);
  });

  test.each([
    ["", "a body is needed"],
    ["null", "a body is needed"],
    ["  ", "a body is needed"],
    ["[]", "at $"],
    ['"x"', "at $"],
    ["{", "at $"],
    ["{/* no */}", "at $"],
    ['{"foo":1}', "the property 'foo' is not known"],
    ['{"__proto__":{"location":"x"}}', "the property '__proto__' is not known"],
    ['{"tags":{"a":1}}', "at $.tags.a"],
    ['{"tags":[1]}', "at $.tags"],
    ['{"expiresAt":"tomorrow"}', "at $.expiresAt: The timestamp 'tomorrow'"],
    [String.raw`{"tags":{"a":"\u0000"}}`, "at $.tags.a"],
    [String.raw`{"location":"\ud800"}`, "at $.location"],
    ["[".repeat(100) + "]".repeat(100), "nested deeper"],
  ])("%s is refused", async (body, message) => {
    const answer = await post(body);
    expect([answer.statusCode, answer.json().error.code]).toEqual([400, "InvalidInput"]);
    expect(answer.json().error.message).toMatch(/^Error deserializing input/);
    expect(answer.json().error.message).toContain(message);
  });

  test("a body that is not UTF-8, of another type, or too large is refused", async () => {
    expect((await post(Buffer.from([0x22, 0xff, 0x22]))).json().error.code).toBe("InvalidInput");
    expect((await post("{}", { "content-type": "text/plain" })).json().error.message).toContain("application/json");
    const large = await post(`{"location":"${"x".repeat(5 * 1024 * 1024)}"}`);
    expect([large.statusCode, large.json().error.code]).toEqual([413, "PayloadTooLarge"]);
  });

  // With a repair that is not linear it would not end within the time of a test.
  test("removing trailing commas takes no longer for hostile text", async () => {
    expect((await post(String.raw`"\"`.padEnd(3_000_000, String.raw`\"`))).statusCode).toBe(400);
    expect((await post("[".padEnd(3_000_000, ", "))).statusCode).toBe(400);
  });

  test.each([
    ["without a body", undefined, {}],
    ["with a content type and no length", undefined, JSON_TYPE],
    ["with an empty body", "", { ...JSON_TYPE, "content-length": "0" }],
    ["with an empty chunked body", "", { ...JSON_TYPE, "transfer-encoding": "chunked" }],
  ])("a POST that needs no body is accepted %s", async (_case, payload, headers) => {
    const options = { method: "POST", url: "/runs/_sweep?api-version=1.0", headers } as const;
    const answer = await api.app.inject(payload === undefined ? options : { ...options, payload });
    expect([answer.statusCode, answer.body]).toEqual([200, ""]);
  });
});

describe("queries", () => {
  test.each([
    ["/runs?limit=-1", "InvalidInput", "Limit must be a non-negative integer"],
    ["/runs?limit=abc", "BadRequest", "limit"],
    ["/runs?limit=99999999999", "BadRequest", "limit"],
    ["/runs?status=sleeping", "InvalidInput", "The status 'sleeping' is not known"],
    ["/runs?since=yesterday", "BadRequest", "since"],
    ["/runs?_ct=zzz", "InvalidInput", "continuation token"],
    ["/codespecs?prefix=%00", "BadRequest", "character"],
    ["/runs/1/logs?tailLines=x", "BadRequest", "tailLines"],
    ["/runs/1?watch=maybe", "BadRequest", "watch"],
  ])("%s is refused", async (url, code, message) => {
    const answer = await get(`${url}&api-version=1.0`);
    expect([answer.statusCode, answer.json().error.code]).toEqual([400, code]);
    expect(answer.json().error.message).toContain(message);
    expect(answer.json().error.apiVersions).toBeUndefined();
  });

  test("a limit of 0 gives no items and no link; unknown parameters are ignored", async () => {
    expect((await get("/runs?limit=0&foo=bar&api-version=1.0")).json()).toEqual({ items: [] });
    expect((await get("/runs?limit=5000&limit=abc&status=&api-version=1.0")).json()).toEqual({ items: [] });
  });

  test.each(["/runs/abc", "/runs/0", "/runs/99999999999999999999", "/codespecs/no", "/codespecs/UP", "/buffers/b7"])(
    "%s is not found",
    async (url) => {
      const answer = await get(`${url}?api-version=1.0`);
      expect(answer.statusCode).toBe(404);
      expect(answer.json()).toEqual({ error: { code: "NotFound", message: "The resource was not found" } });
    },
  );
});
