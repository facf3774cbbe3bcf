import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ServedApi } from "../../api/serve.ts";
import { AUDIENCE, IdentityProvider, newKey } from "../fakes/identity-provider.ts";
import { type LogLine, startApi } from "./started-api.ts";

let folder: string;
let provider: IdentityProvider;
let served: ServedApi | undefined;
let logged: LogLine[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tyger-tokens-"));
  await mkdir(join(folder, "buffers"));
  [served, logged] = [undefined, []];
  provider = await new IdentityProvider().start();
});
afterEach(async () => {
  await Promise.all([served?.stop(), provider.stop()]);
  await rm(folder, { recursive: true });
});

async function start(listen = "127.0.0.1:0", more = ""): Promise<string> {
  const authentication = `{ issuer: '${provider.issuer}', audience: '${AUDIENCE}' }`;
  const file = `{ authentication: ${authentication}, controlPlane: { listen: '${listen}' ${more} } }`;
  served = await startApi(folder, { text: file, logged });
  return String(logged.find(({ message }) => message === "API is ready")?.["control"]).replace("0.0.0.0", "127.0.0.1");
}
const warnings = (): string[] => logged.filter(({ level }) => level === "warn").map(({ message }) => message);
const statusAt = async (url: string, token?: string): Promise<number> => {
  const answer = await fetch(url, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
  await answer.text();
  return answer.status;
};
const overSocket = (path: string): Promise<{ status: number | undefined; body: string }> =>
  new Promise((resolve, reject) => {
    request({ socketPath: join(folder, "api.sock"), path }, (answer) => {
      text(answer).then((body) => resolve({ status: answer.statusCode, body }), reject);
    })
      .on("error", reject)
      .end();
  });

test("over TCP a token is needed, also on loopback; the socket is its user's as before", async () => {
  const control = await start();
  const token = await provider.tokenFor("contributor-app");
  expect(await statusAt(`${control}/runs?api-version=1.0`)).toBe(401);
  expect(await statusAt(`${control}/runs?api-version=1.0`, token)).toBe(200);
  expect(await overSocket("/runs?api-version=1.0")).toMatchObject({ status: 200 });
  expect(await (await fetch(`${control}/metadata`)).json()).toMatchObject({ rbacEnabled: true });
  expect(JSON.parse((await overSocket("/metadata")).body)).not.toHaveProperty("authority");
  expect(warnings()).toEqual([]);
});

test("a request over TCP whose connection has ended does not count as one of the socket", async () => {
  const control = await start();
  const { port } = new URL(control);
  const count = 200;
  const body = JSON.stringify({ kind: "job", image: "ubuntu" });
  await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const socket = connect(Number(port), "127.0.0.1");
      const head = `PUT /codespecs/c${at}?api-version=1.0 HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n`;
      socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`, () => socket.resetAndDestroy());
      await new Promise((resolve) => socket.once("close", resolve));
    }),
  );
  expect(await statusAt(`${control}/codespecs?api-version=1.0`, await provider.tokenFor("owner-app"))).toBe(200);
  expect(JSON.parse((await overSocket("/codespecs?api-version=1.0")).body)).toEqual({ items: [] });
});

test("the data plane keeps its signatures and needs no token", async () => {
  const control = await start();
  const headers = {
    authorization: `Bearer ${await provider.tokenFor("contributor-app")}`,
    "content-type": "application/json",
  };
  const post = async (path: string, body?: string): Promise<Record<string, string>> =>
    (await (await fetch(control + path, { method: "POST", headers, ...(body && { body }) })).json()) as never;
  const { id } = await post("/buffers?api-version=1.0", "{}");
  const { uri = "" } = await post(`/buffers/${id}/access?api-version=1.0&writeable=true`);
  const url = new URL(uri);
  url.pathname += "/00/000";
  expect((await fetch(url, { method: "PUT", body: "x" })).status).toBe(201);
  expect(await (await fetch(url)).text()).toBe("x");
});

test("with tokens the control plane listens beyond loopback, under any name, and warns only of a missing TLS", async () => {
  const control = await start("0.0.0.0:0");
  expect(warnings()).toEqual([expect.stringMatching(/^the control plane does not use TLS/)]);
  const status = new Promise((resolve, reject) => {
    request(`${control}/healthcheck`, { headers: { host: "tyger.internal" } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .on("error", reject)
      .end();
  });
  expect(await status).toBe(200);
});

test("keys are rotated twice under load: no request with a token of the issuer is refused", async () => {
  const control = await start();
  let token = await provider.tokenFor("contributor-app");
  const done = new AbortController();
  const statuses: Record<number, number> = {};
  const clients = Array.from({ length: 8 }, async () => {
    while (!done.signal.aborted) {
      const status = await statusAt(`${control}/runs?api-version=1.0`, token);
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  });
  for (const kid of ["second", "third"]) {
    const former = token;
    provider.keys.unshift(await newKey(kid));
    provider.configure();
    token = await provider.tokenFor("contributor-app");
    expect(await statusAt(`${control}/runs?api-version=1.0`, former)).toBe(200);
    expect(await statusAt(`${control}/runs?api-version=1.0`, token)).toBe(200);
  }
  done.abort();
  await Promise.all(clients);
  expect(Object.keys(statuses)).toEqual(["200"]);
  expect(statuses[200]).toBeGreaterThan(8);
  expect(provider.seen.filter((line) => line === "GET /jwks")).toHaveLength(3);
});

test("while the issuer is away known keys work, and a start answers 503 until it is back", async () => {
  let control = await start();
  const token = await provider.tokenFor("contributor-app");
  expect(await statusAt(`${control}/runs?api-version=1.0`, token)).toBe(200);
  await provider.stop();
  expect(await statusAt(`${control}/runs?api-version=1.0`, token)).toBe(200);
  await served?.stop();
  logged.length = 0;
  control = await start();
  expect(await statusAt(`${control}/runs?api-version=1.0`, token)).toBe(503);
  expect(await statusAt(`${control}/runs?api-version=1.0`)).toBe(401);
  expect(await statusAt(`${control}/healthcheck`)).toBe(200);
  expect(warnings()).toContain("the keys of the identity provider were not loaded");
  await provider.start();
  expect(await statusAt(`${control}/runs?api-version=1.0`, token)).toBe(200);
});
