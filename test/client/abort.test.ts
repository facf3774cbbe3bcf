import { afterEach, beforeEach, expect, test } from "vitest";
import { type CallOptions, type Tyger, connect } from "../../client/index.ts";
import { eventually } from "../eventually.ts";
import { FakeServer } from "../fakes/tyger-server.ts";

let server: FakeServer;
let client: Tyger;
beforeEach(async () => {
  server = await new FakeServer().start();
  client = await connect({ server: `unix://${server.socketPath}` });
});
afterEach(() => server.stop());

const first = (items: AsyncIterable<unknown>): Promise<unknown> => items[Symbol.asyncIterator]().next();
const codespec = { kind: "job" as const, image: "x" };

const CALLS: [name: string, call: (client: Tyger, options: CallOptions) => Promise<unknown>][] = [
  ["metadata", (api, options) => api.metadata(options)],
  ["isHealthy", (api, options) => api.isHealthy(options)],
  ["codespecs.create", ({ codespecs }, options) => codespecs.create("c", codespec, options)],
  ["codespecs.show", ({ codespecs }, options) => codespecs.show("c", options)],
  ["codespecs.find", ({ codespecs }, options) => codespecs.find("c", options)],
  ["codespecs.list", ({ codespecs }, options) => first(codespecs.list(options))],
  ["buffers.create", ({ buffers }, options) => buffers.create({}, options)],
  ["buffers.show", ({ buffers }, options) => buffers.show("b", options)],
  ["buffers.access", ({ buffers }, options) => buffers.access("b", options)],
  ["buffers.read", ({ buffers }, options) => buffers.read("b", options).getReader().read()],
  ["buffers.write", ({ buffers }, options) => buffers.write("b", "x", options)],
  ["runs.create", ({ runs }, options) => runs.create({ job: { codespec } }, options)],
  ["runs.exec, creating", ({ runs }, options) => runs.exec({ job: { codespec } }, options)],
  ["runs.exec, looking up", ({ runs }, options) => runs.exec({ job: { codespec: "c" } }, options)],
  ["runs.show", ({ runs }, options) => runs.show(7, options)],
  ["runs.watch", ({ runs }, options) => first(runs.watch(7, options))],
  ["runs.list", ({ runs }, options) => first(runs.list(options))],
  ["runs.counts", ({ runs }, options) => runs.counts(options)],
  ["runs.cancel", ({ runs }, options) => runs.cancel(7, options)],
  ["runs.set", ({ runs }, options) => runs.set(7, { tags: { a: "1" } }, options)],
  ["runs.logs", ({ runs }, options) => first(runs.logs(7, options))],
  ["runs.logs, following", ({ runs }, options) => first(runs.logs(7, { follow: true, ...options }))],
  ["runs.logBytes", ({ runs }, options) => first(runs.logBytes(7, options))],
];

test("every method of the client is tried", () => {
  const methods = Object.entries({
    "": client,
    codespecs: client.codespecs,
    buffers: client.buffers,
    runs: client.runs,
  });
  const names = methods.flatMap(([group, members]) =>
    Object.entries(members)
      .filter(([, member]) => typeof member === "function")
      .map(([name]) => (group === "" ? name : `${group}.${name}`)),
  );
  expect(new Set(CALLS.map(([name]) => name.split(",")[0]))).toEqual(new Set(names));
});

const reason = new Error("enough");

test.each(CALLS)("%s ends with the signal's reason while the server is silent", async (_name, call) => {
  for (const method of ["GET", "POST", "PUT"]) server.on(method, /./, () => undefined);
  const ending = new AbortController();
  const calling = call(client, { signal: ending.signal });
  calling.catch(() => undefined);
  await eventually(() => server.seen.length > 0);
  ending.abort(reason);
  await expect(calling).rejects.toBe(reason);
});

test.each(CALLS)("%s sends nothing when the signal is already aborted", async (_name, call) => {
  await expect(call(client, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(server.seen).toEqual([]);
});

test.each(CALLS)("%s ends in a pause between attempts, too", async (_name, call) => {
  for (const method of ["GET", "POST", "PUT"]) {
    server.on(method, /./, (_request, response) => response.writeHead(503).end());
  }
  const retrying = Promise.withResolvers<void>();
  const patient = await connect({
    server: `unix://${server.socketPath}`,
    retry: () => 2 ** 30,
    onRetry: () => retrying.resolve(),
  });
  const ending = new AbortController();
  const calling = call(patient, { signal: ending.signal });
  calling.catch(() => undefined);
  await retrying.promise;
  ending.abort(reason);
  await expect(calling).rejects.toBe(reason);
});

test.each([
  ["runs.watch", "GET", /^\/runs\/7\?/, '{"id":7,"status":"Running"}\n'],
  ["runs.logs, following", "GET", /logs/, "2026-01-01T00:00:00.000000000Z a line\n"],
  ["runs.logBytes", "GET", /logs/, "a line\n"],
] as const)("%s ends between two items", async (name, method, path, start) => {
  server.on(method, path, (_request, response) => void response.writeHead(200).write(start));
  const ending = new AbortController();
  const { runs } = client;
  const options = { signal: ending.signal };
  const items: AsyncIterator<unknown> =
    name === "runs.watch"
      ? runs.watch(7, options)
      : name === "runs.logBytes"
        ? runs.logBytes(7, options)
        : runs.logs(7, { follow: true, ...options });
  expect((await items.next()).done).toBe(false);
  const next = items.next();
  next.catch(() => undefined);
  ending.abort(reason);
  await expect(next).rejects.toBe(reason);
});
