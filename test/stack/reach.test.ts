import { createServer, type AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { mustReach, postgresPlaceOf, temporalPlaceOf } from "../../stack/reach.ts";

test("a server that listens is reached, one that does not is named with the reason", async () => {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  await mustReach("Postgres", "127.0.0.1", (server.address() as AddressInfo).port);
  server.close();
  await expect(mustReach("Postgres", "127.0.0.1", 1)).rejects.toThrow(
    "Postgres at '127.0.0.1:1' cannot be reached: nothing listens there",
  );
});

test.each([
  ["postgres://u:p@db.example:6000/x", { host: "db.example", port: 6000 }],
  ["postgresql://u:p@[::1]/x", { host: "::1", port: 5432 }],
  ["postgres:///x?host=/run/postgresql", undefined],
])("%s names a server", (url, place) => {
  expect(postgresPlaceOf(url)).toEqual(place);
});

test.each(["mysql://u:hunter2@h/x", "u:hunter2@h", ""])("'%s' is refused without its password", (url) => {
  expect(() => postgresPlaceOf(url)).toThrow(/^DATABASE_URL must be a URL such as/);
});

test.each([
  ["localhost:7233", { host: "localhost", port: 7233 }],
  ["[::1]:7233", { host: "::1", port: 7233 }],
])("%s names a Temporal server", (address, place) => {
  expect(temporalPlaceOf(address)).toEqual(place);
});

test("an address without a port is refused with its value", () => {
  expect(() => temporalPlaceOf("temporal.example")).toThrow("TEMPORAL_ADDRESS 'temporal.example' must be host:port");
});
