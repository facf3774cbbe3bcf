import { expect, test } from "vitest";
import { createHostCheck, ownNamesOf } from "../../../api/http/hosts.ts";

const check = createHostCheck(["10.0.0.5", "Tyger.example.org"]);
const refusalOf = (headers: { host?: string; origin?: string }): string => {
  try {
    check(headers);
    return "";
  } catch (err) {
    return String(err);
  }
};

test.each([
  "localhost",
  "LOCALHOST:8080",
  "127.0.0.1:8080",
  "127.1.2.3",
  "[::1]:8080",
  "[::ffff:127.0.0.1]",
  "10.0.0.5:1",
  "tyger.example.org",
  "TYGER.EXAMPLE.ORG:443",
])("a request for %s is one for this server", (host) => {
  expect(refusalOf({ host })).toBe("");
  expect(refusalOf({ host, origin: `http://${host}` })).toBe("");
});

test.each([
  undefined,
  "",
  "evil.example",
  "localhost.evil.example",
  "127.0.0.1.evil.example:8080",
  "tyger.example.org.",
  "10.0.0.6",
  "0.0.0.0:8080",
  "[::]:8080",
  "localhost@evil.example",
  "localhost:8080, evil.example",
  "2130706433",
])("a request for %j is refused", (host) => {
  expect(refusalOf(host === undefined ? {} : { host })).toMatch(
    `The host '${host ?? ""}' is not a name of this server; use one of its names, or add this one to 'controlPlane.publicNames'`,
  );
});

test.each(["http://evil.example", "null", "", "https://localhost.evil.example:8080", "file://"])(
  "a request of a page of %j is refused, whatever host it is for",
  (origin) => {
    expect(refusalOf({ host: "localhost:8080", origin })).toMatch(`Pages of '${origin}' cannot use this server`);
  },
);

test.each([
  ["10.0.0.5:80", ["10.0.0.5"]],
  ["Host:80", ["host"]],
  ["[fd00::1]:80", ["fd00::1"]],
  ["0.0.0.0:80", []],
  ["[::]:80", []],
  ["", []],
])("a server that listens on %j has the names %j", (listen, names) => {
  expect(ownNamesOf(listen)).toEqual(names);
});
