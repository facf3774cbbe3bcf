import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openIssuer } from "../../../client/auth/issuer.ts";
import { isSafeUrl } from "../../../model/issuer.ts";

let server: Server;
let issuer: string;
let answers: ((response: ServerResponse) => void)[];
let count: number;
beforeEach(async () => {
  [answers, count] = [[], 0];
  server = createServer((_request, response) => {
    count += 1;
    const answer = answers.shift() ?? answers.at(-1);
    if (answer) answer(response);
    else response.end(JSON.stringify(document()));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});
const document = () => ({
  issuer,
  token_endpoint: `${issuer}/token`,
  device_authorization_endpoint: `${issuer}/d?p=1`,
});
const send = (status: number, body: string) => (response: ServerResponse) => response.writeHead(status).end(body);

test("an issuer is opened by its discovery document, with patience for a short failure", async () => {
  answers = [send(503, ""), send(429, "")];
  const opened = await openIssuer(issuer, {});
  expect(opened).toMatchObject({
    tokenEndpoint: `${issuer}/token`,
    deviceEndpoint: `${issuer}/d?p=1`,
    takesBasic: true,
  });
  expect(count).toBe(3);
});

test.each([
  ["is another's", () => ({ ...document(), issuer: "https://evil.org" }), /is of the issuer 'https:\/\/evil\.org'$/],
  ["has no token endpoint", () => ({ issuer }), /has no token endpoint$/],
  [
    "sends secrets over the network",
    () => ({ ...document(), token_endpoint: "http://evil.org/t" }),
    /has no token endpoint$/,
  ],
])("a discovery document that %s is refused", async (_name, body, message) => {
  answers = [send(200, JSON.stringify(body()))];
  await expect(openIssuer(issuer, {})).rejects.toThrow(message);
});

test("a page in the place of the document is an error that names the URL", async () => {
  answers = [send(404, "<html>")];
  const url = `${issuer}/.well-known/openid-configuration`;
  await expect(openIssuer(issuer, {})).rejects.toThrow(`answered '${url}' with status 404`);
});

test("an answer without end is given up", async () => {
  answers = [
    (response) => {
      const write = (): void => {
        while (!response.destroyed && response.write("x".repeat(65_536)));
        response.once("drain", write);
      };
      write();
    },
  ];
  await expect(openIssuer(issuer, {})).rejects.toThrow(/its answer is too long$/);
});

test.each([
  ["https://i.org", true],
  ["https://i.org/token?p=policy", true],
  ["http://localhost:8080/realms/a", true],
  ["http://127.0.0.1:1", true],
  ["http://[::1]:1", true],
  ["http://i.org", false],
  ["http://localhost.evil.org", false],
  ["http://127.0.0.1.evil.org", false],
  ["http://127.1.evil.org", false],
  ["ftp://i.org", false],
  ["i.org", false],
  ["", false],
])("secrets are sent to '%s': %s", (url, isSafe) => {
  expect(isSafeUrl(url)).toBe(isSafe);
});
