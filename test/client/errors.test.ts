import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type Tyger,
  connect,
  ConnectionError,
  hasCode,
  ServerError,
  UnexpectedStatusError,
} from "../../client/index.ts";
import { FakeServer, fail } from "../fakes/tyger-server.ts";

let server: FakeServer;
let client: Tyger;
beforeEach(async () => {
  server = await new FakeServer().start();
  client = await connect({ server: `unix://${server.socketPath}` });
});
afterEach(() => server.stop());

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (err: unknown) => err,
  );

test("a refusal has the code, the status and the sentence of the server", async () => {
  const err = await failureOf(client.runs.show(8));
  expect(err).toBeInstanceOf(ServerError);
  expect(err).toMatchObject({ code: "NotFound", status: 404, message: "NotFound: The resource was not found" });
  expect([hasCode(err, "NotFound"), hasCode(err, "Conflict", "NotFound"), hasCode(err, "Conflict")]).toEqual([
    true,
    true,
    false,
  ]);
});

test("a code that this client does not know is passed on", async () => {
  server.on("GET", /^\/runs\/8/, (_, response) => fail(response, 409, "QuotaExceeded", "too many"));
  expect(await failureOf(client.runs.show(8))).toMatchObject({ code: "QuotaExceeded", status: 409 });
});

test("an error page of something else has its status", async () => {
  server.on("GET", /^\/runs\/8/, (_, response) => response.writeHead(404).end("<html>"));
  const err = await failureOf(client.runs.show(8));
  expect(err).toBeInstanceOf(UnexpectedStatusError);
  expect(err).toMatchObject({ code: "UnexpectedStatus", status: 404, message: "unexpected status code 404 Not Found" });
});

test("a good answer that is not JSON names the request", async () => {
  server.on("GET", /^\/runs\/8/, (_, response) => response.writeHead(200).end("<html>"));
  await expect(client.runs.show(8)).rejects.toThrow("the server's answer to GET /runs/8 is not JSON");
});

test("a server that is not there is a connection error with the system's as its cause", async () => {
  await server.crash();
  const err = await failureOf(client.runs.show(8));
  expect(err).toBeInstanceOf(ConnectionError);
  expect(err).toMatchObject({ code: "Unreachable", cause: { code: expect.stringMatching(/ENOENT|ECONNREFUSED/) } });
});

test.each([".", ".."])("the id '%s', which a URL would resolve, is refused", async (id) => {
  await expect(client.runs.show(id)).rejects.toThrow(`'${id}' is not a valid id or name`);
  await expect(client.codespecs.show(id)).rejects.toThrow(`'${id}' is not a valid id or name`);
  expect(server.seen).toEqual([]);
});
