import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect, type Tyger, type HttpHooks, type JobCodespec } from "../../client/index.ts";
import { FakeServer, fail, reply } from "../fakes/tyger-server.ts";

let server: FakeServer;
let client: Tyger;
beforeEach(async () => {
  server = await new FakeServer().start();
  client = await connect({ server: `unix://${server.socketPath}` });
});
afterEach(() => server.stop());

const codespec: JobCodespec = { kind: "job", image: "x", buffers: { inputs: ["input"], outputs: ["output"] } };
const sent = (): string[] => server.seen.map(({ method, url, body }) => `${method} ${url} ${body}`.trimEnd());
const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
};

test("every call sends the request of the contract", async () => {
  server.run = { id: 7, status: "Running" };
  await client.metadata();
  await client.codespecs.create("c", codespec);
  await client.codespecs.show("c", { version: 3 });
  await client.codespecs.find("c/versions/3");
  await client.buffers.create({ tags: { a: "b" } });
  await client.buffers.access("b", { writeable: true, ttl: "00:10:00" });
  await client.runs.show(7);
  await client.runs.cancel(7);
  await all(client.runs.watch(7));
  await all(client.runs.logBytes(7, { tailLines: 2, since: "2026-01-01T00:00:00Z" }));
  expect(sent()).toEqual([
    "GET /metadata",
    `PUT /codespecs/c?api-version=1.0 ${JSON.stringify(codespec)}`,
    "GET /codespecs/c/versions/3?api-version=1.0",
    "GET /codespecs/c/versions/3?api-version=1.0",
    'POST /buffers?api-version=1.0 {"tags":{"a":"b"}}',
    "POST /buffers/b/access?api-version=1.0&ttl=00%3A10%3A00&writeable=true",
    "GET /runs/7?api-version=1.0",
    "POST /runs/7/cancel?api-version=1.0",
    "GET /runs/7?api-version=1.0&watch=true",
    "GET /runs/7/logs?api-version=1.0&since=2026-01-01T00%3A00%3A00Z&tailLines=2",
  ]);
  expect(server.seen[0]?.headers).toMatchObject({ "content-type": "application/json", "user-agent": "tyger" });
});

test("a codespec has the version that the server gave it", async () => {
  expect(await client.codespecs.create("c", codespec)).toMatchObject({ name: "c", version: 3, image: "x" });
});

test("counts and lists send their filters", async () => {
  server.on("GET", /^\/runs\/counts/, (_, response) => reply(response, 200, { succeeded: 2 }));
  server.on("GET", /^\/runs\?/, (_, response) => reply(response, 200, { items: [] }));
  expect(await client.runs.counts({ tags: { a: "b" }, since: "2026-01-01T00:00:00Z" })).toEqual({ succeeded: 2 });
  await all(client.runs.list({ status: ["Running", "Pending"], limit: 5 }));
  await all(client.codespecs.list({ prefix: "p" }));
  expect(server.seen.map(({ url }) => url)).toEqual([
    "/runs/counts?api-version=1.0&since=2026-01-01T00%3A00%3A00Z&tag%5Ba%5D=b",
    "/runs?api-version=1.0&limit=5&status=Running&status=Pending",
    "/codespecs?api-version=1.0&limit=200&prefix=p",
  ]);
});

describe("a list of several pages", () => {
  beforeEach(() => {
    server.on("GET", /^\/runs\?/, ({ url }, response) => {
      const page = Number(new URL(url, "http://x").searchParams.get("_ct") ?? 0);
      const nextLink = page < 2 ? { nextLink: `/runs?limit=2&api-version=1.0&_ct=${page + 1}` } : {};
      reply(response, 200, { items: [{ id: 2 * page }, { id: 2 * page + 1 }], ...nextLink });
    });
  });

  test("is one sequence", async () => {
    expect((await all(client.runs.list({ pageSize: 2 }))).map(({ id }) => id)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("ends at its limit, and fetches no page beyond it", async () => {
    expect((await all(client.runs.list({ limit: 4 }))).map(({ id }) => id)).toEqual([0, 1, 2, 3]);
    expect(server.seen).toHaveLength(2);
  });

  test("is fetched as far as it is read", async () => {
    for await (const { id } of client.runs.list({ pageSize: 2 })) if (id === 1) break;
    expect(server.seen).toHaveLength(1);
  });

  test("can be read page by page", async () => {
    const pages = await all(client.runs.list({ pageSize: 2 }).pages());
    expect(pages.map(({ items, hasMore }) => [items.length, hasMore])).toEqual([
      [2, true],
      [2, true],
      [2, false],
    ]);
  });
});

test("hooks see requests, answers and retries", async () => {
  const seen: string[] = [];
  const hooks: HttpHooks = {
    onRequest: ({ method, url }) => seen.push(`${method} ${url.pathname}`),
    onResponse: ({ status, rawHeaders }) => seen.push(`${status} ${rawHeaders.includes("request-id")}`),
    onRetry: (reason) => seen.push(JSON.stringify(reason)),
  };
  const watched = await connect({
    server: `unix://${server.socketPath}`,
    baggage: { a: "b c" },
    retry: (_failure, { count }) => (count < 2 ? 0 : undefined),
    ...hooks,
  });
  server.on("GET", /^\/runs\/8/, (_, response) => fail(response, 503, "Unavailable", "busy"));
  await expect(watched.runs.show(8)).rejects.toMatchObject({ code: "Unavailable", status: 503 });
  expect(seen).toEqual(["GET /runs/8", "503 true", '{"status":503}', "GET /runs/8", "503 true"]);
  expect(server.seen[0]?.headers["baggage"]).toBe("a=b%20c");
});

test("an answer that is cut off is asked for again", async () => {
  let count = 0;
  server.on("GET", /^\/runs\/7/, (_, response) => {
    if (++count > 1) return reply(response, 200, { id: 7 });
    response.writeHead(200, { "content-length": 100 }).write('{"id"');
    return setImmediate(() => response.destroy());
  });
  expect(await client.runs.show(7)).toEqual({ id: 7 });
});

test("health is a boolean", async () => {
  let status = 200;
  server.on("GET", /^\/healthcheck$/, (_, response) => response.writeHead(status).end("Healthy"));
  const impatient = await connect({ server: `unix://${server.socketPath}`, retry: false });
  expect(await impatient.isHealthy()).toBe(true);
  status = 503;
  expect(await impatient.isHealthy()).toBe(false);
  await server.crash();
  await expect(impatient.isHealthy()).rejects.toMatchObject({ code: "Unreachable" });
});

describe("connecting", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tyger-client-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test("to the server of a login file", async () => {
    const loginFile = join(folder, "login");
    await writeFile(loginFile, `serverUrl: 'http+unix://${server.socketPath}:'\n`);
    expect(await (await connect({ loginFile })).metadata()).toMatchObject({ apiVersions: ["1.0"] });
  });

  test("to a login file of more than plain pairs", async () => {
    const loginFile = join(folder, "login");
    await writeFile(loginFile, `# other clients write more\nserverUri: "http+unix://${server.socketPath}:"\nx: [1]\n`);
    expect((await connect({ loginFile })).address).toEqual({ kind: "unix", socketPath: server.socketPath });
  });

  test.each(["{}\n", undefined])("without a login is an error that says what to do", async (content) => {
    const loginFile = join(folder, "login");
    if (content !== undefined) await writeFile(loginFile, content);
    await expect(connect({ loginFile })).rejects.toMatchObject({
      code: "NotLoggedIn",
      message: "run 'tyger login' to connect to a Tyger server",
    });
  });

  test("to an impossible address is an error at once", async () => {
    await expect(connect({ server: "ssh://host" })).rejects.toThrow("not supported");
  });

  test("with baggage that no header can hold is an error at once", async () => {
    await expect(connect({ server: "http://h", baggage: { "a b": "c" } })).rejects.toThrow("HTTP token characters");
  });
});
