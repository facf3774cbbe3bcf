import { createServer, type AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { mustReach, postgresAddressOf, parseTemporalAddress } from "../../../stack/host/reach.ts";

test("a server that listens is reached, one that does not is named with the reason", async () => {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  await mustReach("Postgres", "DATABASE_URL", "127.0.0.1", (server.address() as AddressInfo).port);
  server.close();
  await expect(mustReach("Postgres", "DATABASE_URL", "127.0.0.1", 1)).rejects.toThrow(
    "The Postgres of DATABASE_URL at '127.0.0.1:1' cannot be reached: nothing is listening there; start it, or correct DATABASE_URL",
  );
});

test.each([
  ["postgres://u:p@db.example:6000/x", { host: "db.example", port: 6000 }],
  ["postgresql://u:p@[::1]/x", { host: "::1", port: 5432 }],
])("%s names a server", (url, expected) => {
  expect(postgresAddressOf(url, "DATABASE_URL")).toEqual(expected);
});

test.each(["mysql://u:hunter2@h/x", "u:hunter2@h", "postgres://u:hunter2%@h/x", ""])(
  "'%s' is refused without its password",
  (url) => {
    expect(() => postgresAddressOf(url, "DATABASE_URL")).toThrow(/^DATABASE_URL must be a URL such as/);
  },
);

test.each([
  ["localhost:7233", { host: "localhost", port: 7233 }],
  ["[::1]:7233", { host: "::1", port: 7233 }],
])("%s names a Temporal server", (address, expected) => {
  expect(parseTemporalAddress(address)).toEqual(expected);
});

test.each(["postgres:///x?host=/run/postgresql", "postgres://u@%2Frun%2Fpostgresql/x"])(
  "%s is refused, for the driver would look for a server elsewhere",
  (url) => {
    expect(() => postgresAddressOf(url, "DATABASE_URL")).toThrow("DATABASE_URL must name a host");
  },
);

test.each(["temporal.example", "h:0", "h:99999", "http://h:7233"])("'%s' is refused with its value", (address) => {
  expect(() => parseTemporalAddress(address)).toThrow(`TEMPORAL_ADDRESS '${address}' must be host:port`);
});
