import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import postgres from "postgres";
import { expect, inject, onTestFinished, test } from "vitest";
import { databaseProblem } from "../../../stack/postgres/postgres-trial.ts";
import { freshDatabase } from "../../engines.ts";

const urlWith = (change: (url: URL) => void): string => {
  const url = new URL(inject("postgresUrl"));
  change(url);
  return url.href;
};

test("a database whose owner asks has no problem", async () => {
  expect(await databaseProblem(inject("postgresUrl"), "DATABASE_URL")).toBeUndefined();
});

test.each([
  ["password", (url: URL) => (url.password = "hunter2"), /^refuses .*password authentication failed for user/],
  ["database", (url: URL) => (url.pathname = "/nowhere"), /^refuses .*database "nowhere" does not exist; correct/],
  ["parameter", (url: URL) => url.searchParams.set("nosuch", "1"), /^refuses .*"nosuch"/],
  ["need of TLS", (url: URL) => url.searchParams.set("sslmode", "require"), /^does not answer .* with TLS/],
  [
    "wish not to write",
    (url: URL) => url.searchParams.set("default_transaction_read_only", "on"),
    /^does not accept writes/,
  ],
])("a wrong %s is reported with the server's message, without the password", async (_what, change, words) => {
  const problem = await databaseProblem(urlWith(change), "DATABASE_URL");
  expect(problem).toMatch(words);
  expect(problem).not.toContain("hunter2");
});

test("a user who cannot create tables is reported", async () => {
  const fresh = await freshDatabase();
  const admin = postgres(inject("postgresUrl"), { max: 1, onnotice: () => {} });
  const role = `guest_${process.pid}`;
  await admin.unsafe(`create role ${role} login password 'p'`);
  onTestFinished(async () => {
    await fresh.drop();
    await admin.unsafe(`drop role ${role}`);
    await admin.end();
  });
  const url = new URL(fresh.url);
  url.username = role;
  url.password = "p";
  expect(await databaseProblem(url.href, "DATABASE_URL")).toMatch(
    /^does not let its user create tables in the database '/,
  );
});

test.each([
  ["says nothing", () => {}],
  ["hangs up", (socket: { destroy(): void }) => socket.destroy()],
  ["speaks something else", (socket: { end(text: string): void }) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")],
])("a server that %s is not a Postgres server, in bounded time", async (_what, serve) => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    serve(socket);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  expect(await databaseProblem(`postgres://u:p@127.0.0.1:${port}/d`, "DATABASE_URL", 1000)).toMatch(
    /^does not answer like a Postgres/,
  );
});
