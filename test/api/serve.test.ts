import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ServedApi } from "../../api/serve.ts";
import { type LogLine, startApi } from "./started-api.ts";

let folder: string;
let served: ServedApi | undefined;
let logged: LogLine[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tyger-serve-"));
  await mkdir(join(folder, "buffers"));
  [served, logged] = [undefined, []];
});
afterEach(async () => {
  await served?.stop();
  await rm(folder, { recursive: true });
});

/** An API process with the configuration file `text`. */
async function start(text: string, environment: Record<string, string> = {}): Promise<void> {
  served = await startApi(folder, { text, environment, logged });
}

/** Where it listens, from its own log. */
const ready = (): Record<string, unknown> => logged.find(({ message }) => message === "API is ready") ?? {};
const warnings = (): string[] => logged.filter(({ level }) => level === "warn").map(({ message }) => message);

async function accessUrl(control: string): Promise<URL> {
  const post = { method: "POST", headers: { "content-type": "application/json" } };
  const created = await fetch(`${control}/buffers?api-version=1.0`, { ...post, body: "{}" });
  const { id } = (await created.json()) as { id: string };
  const answer = await fetch(`${control}/buffers/${id}/access?api-version=1.0&writeable=true`, post);
  return new URL(((await answer.json()) as { uri: string }).uri);
}
const blobAt = ({ origin, pathname, search }: URL): string => `${origin}${pathname}/00/000${search}`;

test("by default nothing listens on TCP", async () => {
  await start("");
  expect(ready()).toMatchObject({ socket: join(folder, "api.sock") });
  expect(ready()).not.toHaveProperty("control");
  expect(warnings()).toEqual([]);
});

test("TYGER_LISTEN opens both planes on one loopback port", async () => {
  await start("", { TYGER_LISTEN: "127.0.0.1:0" });
  const control = String(ready()["control"]);
  const url = await accessUrl(control);
  expect(url.origin).toBe(control);
  expect((await fetch(blobAt(url), { method: "PUT", body: "x" })).status).toBe(201);
  expect(warnings()).toEqual([]);
});

test("the data plane has a listener of its own for all, and URLs of buffers lead there", async () => {
  await start("{ controlPlane: { listen: 127.0.0.1:0 }, dataPlane: { listen: 0.0.0.0:0 } }");
  const { control, data } = ready();
  const url = await accessUrl(String(control));
  expect(url.origin).toBe(String(data).replace("0.0.0.0", "127.0.0.1"));
  expect((await fetch(blobAt(url), { method: "PUT", body: "x" })).status).toBe(201);
  expect(await (await fetch(blobAt(url))).text()).toBe("x");
  const tampered = new URL(url);
  tampered.searchParams.set("se", "2099-01-01T00:00:00Z");
  expect((await fetch(blobAt(tampered))).status).toBe(403);
  expect((await fetch(`${url.origin}/runs?api-version=1.0`)).status).toBe(400);
  expect(warnings()).toEqual([]);
});

test("URLs of buffers start with the public URL, where there is one", async () => {
  await start("{ controlPlane: { listen: 127.0.0.1:0 }, dataPlane: { publicUrl: https://data.example.org/t/ } }");
  const { origin, pathname } = await accessUrl(String(ready()["control"]));
  expect(origin + pathname).toMatch(/^https:\/\/data\.example\.org\/t\/containers\/[a-z2-7]{26}$/);
  const metadata = await (await fetch(`${String(ready()["control"])}/metadata`)).json();
  expect(metadata).toMatchObject({ storageEndpoints: ["https://data.example.org/t"], capabilities: ["Docker"] });
});

test("without authentication the control plane does not start beyond loopback", async () => {
  await expect(start("controlPlane: { listen: 0.0.0.0:0 }")).rejects.toThrow(
    "Without authentication, the control plane cannot listen on '0.0.0.0:0'",
  );
  await expect(start("", { TYGER_LISTEN: "0.0.0.0:0" })).rejects.toThrow("Without authentication");
});

test("with 'authentication: none' it does, and each start warns of it", async () => {
  const file = "{ authentication: none, controlPlane: { listen: 0.0.0.0:0, publicNames: [tyger.example.org] } }";
  for (let time = 1; time <= 2; time += 1) {
    await start(file);
    expect(warnings()).toHaveLength(time);
    await served?.stop();
  }
  expect(warnings()[0]).toMatch(/^authentication is off/);
  served = undefined;
});

test("a request that is under way over TCP is answered before a stop ends; a watch is cut", async () => {
  await start("controlPlane: { listen: 127.0.0.1:0 }");
  const control = String(ready()["control"]);
  const url = await accessUrl(control);
  const post = { method: "POST", headers: { "content-type": "application/json" } };
  const job = { job: { codespec: { kind: "job", image: "ubuntu" } } };
  await fetch(`${control}/runs?api-version=1.0`, { ...post, body: JSON.stringify(job) });
  const watch = await fetch(`${control}/runs/1?watch=true&api-version=1.0`);
  const headers = { "content-length": "10", expect: "100-continue" };
  const sending = request(blobAt(url), { method: "PUT", headers, agent: new Agent({ keepAlive: true }) });
  const answered = new Promise<number | undefined>((resolve, reject) => {
    sending.on("response", ({ statusCode }) => resolve(statusCode)).on("error", reject);
  });
  sending.flushHeaders();
  await once(sending, "continue");
  sending.write("12345");
  const stopping = served?.stop();
  await expect(watch.text()).rejects.toThrow("terminated");
  sending.end("67890");
  expect(await answered).toBe(201);
  await stopping;
  served = undefined;
});

test("a request on a connection from before a stop is answered too, on both planes", async () => {
  await start("controlPlane: { listen: 127.0.0.1:0 }");
  const control = String(ready()["control"]);
  const { pathname, search } = await accessUrl(control);
  const post = { method: "POST", headers: { "content-type": "application/json" } };
  const job = { job: { codespec: { kind: "job", image: "ubuntu" } } };
  await fetch(`${control}/runs?api-version=1.0`, { ...post, body: JSON.stringify(job) });
  const asked = ["/runs/1?api-version=1.0", `${pathname}/00/000${search}`].map((path) => {
    const socket = connect(Number(new URL(control).port), "127.0.0.1");
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n`);
    return { socket, answer: text(socket) };
  });
  // Opened after them, so they are accepted when it answers.
  const watch = await fetch(`${control}/runs/1?watch=true&api-version=1.0`);
  const stopping = served?.stop();
  await expect(watch.text()).rejects.toThrow("terminated");
  for (const { socket } of asked) socket.write("\r\n");
  const answers = await Promise.all(asked.map(({ answer }) => answer));
  expect(answers.map((answer) => answer.slice(0, "HTTP/1.1 200".length))).toEqual(["HTTP/1.1 200", "HTTP/1.1 404"]);
  await stopping;
  served = undefined;
});

test("one address in two places is refused", async () => {
  await expect(start("controlPlane: { listen: 127.0.0.1:0 }", { TYGER_LISTEN: "127.0.0.1:0" })).rejects.toThrow(
    "TYGER_LISTEN and 'controlPlane.listen' of the configuration file are both set",
  );
});
