import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type SecureServerOptions,
} from "node:http2";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { connectClient } from "../../temporal/connection.ts";
import { readTarget, type TemporalSettings } from "../../temporal/target.ts";
import { tlsProblemOf } from "../../temporal/tls-problem.ts";
import { createAuthority } from "../fakes/certificate.ts";

const authority = createAuthority();
const clients = createAuthority();
const strangers = createAuthority();
let folder: string;
const files: Record<string, string> = {};
const servers: (Http2Server | Http2SecureServer)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tyger-temporal-"));
  const own = clients.issue();
  const former = clients.issue({ untilYear: "21" });
  const contents = {
    ca: authority.cert,
    strangers: strangers.cert,
    cert: own.cert,
    key: own.key,
    oldCert: former.cert,
    oldKey: former.key,
    text: "text",
    apiKey: "the-key\n",
    empty: "\n",
  };
  for (const [name, content] of Object.entries(contents)) {
    files[name] = join(folder, name);
    await writeFile(join(folder, name), content);
  }
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
afterAll(() => rm(folder, { recursive: true }));

/** A server that answers each call of gRPC with an empty message; without options, it has no TLS. */
async function serve(options?: SecureServerOptions): Promise<{ address: string; headers: Record<string, unknown>[] }> {
  const headers: Record<string, unknown>[] = [];
  const server = options ? createSecureServer(options) : createServer();
  servers.push(server);
  server.on("sessionError", () => {});
  server.on("stream", (stream, received) => {
    headers.push(received);
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.alloc(5));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, headers };
}
/** Of files, by their names. */
const tlsOf = (names: Record<string, string>): NonNullable<TemporalSettings["tls"]> =>
  Object.fromEntries(Object.entries(names).map(([name, file]) => [name, files[file] ?? file]));
const OWN = { certificate: "cert", key: "key" };
const mutual = (ca: string): SecureServerOptions => ({ requestCert: true, rejectUnauthorized: true, ca });

/** The end of a start within ten seconds. */
async function connecting(address: string, more: Omit<TemporalSettings, "address" | "namespace">): Promise<string> {
  try {
    const client = await connectClient(await readTarget({ address, namespace: "n", ...more }), 10_000);
    await client.connection.close();
    return "connected";
  } catch (err) {
    return (err as Error).message.replace(address, "ADDRESS");
  }
}

describe("a start over TLS", () => {
  test.each<[string, SecureServerOptions | undefined, Record<string, string> | undefined, string]>([
    ["connects with the authority of the server", {}, { ca: "ca" }, "connected"],
    ["connects with a certificate of its own", mutual(clients.cert), { ca: "ca", ...OWN }, "connected"],
    [
      "ends when the authority is another",
      {},
      { ca: "strangers" },
      "Temporal at 'ADDRESS' cannot be used: its certificate is from an authority that is not trusted; 'temporal.tls.ca' is the file of its authority",
    ],
    [
      "ends when the machine does not know the authority",
      {},
      {},
      "Temporal at 'ADDRESS' cannot be used: its certificate is from an authority that is not trusted; 'temporal.tls.ca' is the file of its authority",
    ],
    [
      "ends when the server's certificate has expired",
      authority.issue({ untilYear: "21" }),
      { ca: "ca" },
      "Temporal at 'ADDRESS' cannot be used: its certificate has expired",
    ],
    [
      "ends when the server has another name",
      {},
      { ca: "ca", serverName: "temporal.example.org" },
      "Temporal at 'ADDRESS' cannot be used: its certificate is for another name; 'temporal.tls.serverName' sets the name",
    ],
    [
      "ends when the server wants a certificate of ours",
      mutual(clients.cert),
      { ca: "ca" },
      "Temporal at 'ADDRESS' cannot be used: it requires a certificate of ours: 'temporal.tls.certificate'",
    ],
    [
      "ends when the server does not know the authority of ours",
      mutual(strangers.cert),
      { ca: "ca", ...OWN },
      "Temporal at 'ADDRESS' cannot be used: it does not accept our certificate",
    ],
    [
      "ends when the server has no TLS",
      undefined,
      { ca: "ca" },
      "Temporal at 'ADDRESS' cannot be used: it does not use TLS",
    ],
  ])("%s", async (_name, options, tls, end) => {
    const { address } = await serve(options && { ...authority.issue(), ...options });
    let connections = 0;
    servers[0]?.on("connection", () => (connections += 1));
    expect(await connecting(address, { tls: tls && tlsOf(tls) })).toBe(end);
    // At once: the client's own attempt, and ours that finds out why.
    expect(connections).toBeLessThanOrEqual(3);
  });

  test("sends the key of the file", async () => {
    const { address, headers } = await serve(authority.issue());
    expect(await connecting(address, { tls: tlsOf({ ca: "ca" }), apiKeyFile: files["apiKey"] })).toBe("connected");
    expect(headers[0]?.["authorization"]).toBe("Bearer the-key");
  });

  test("waits for a server that is away, and only its time", async () => {
    const { address } = await serve();
    servers.pop()?.close();
    const target = await readTarget({ address, namespace: "n", tls: tlsOf({ ca: "ca" }) });
    await expect(connectClient(target, 500)).rejects.toThrow(`Temporal at '${address}' did not answer within 0.5 s`);
  });
});

test("a server that requires TLS of a client without it is reported as such", async () => {
  const { address } = await serve(authority.issue());
  const target = await readTarget({ address, namespace: "n" });
  await expect(connectClient(target, 500)).rejects.toThrow(
    "it requires TLS: set 'temporal.tls' in the configuration file",
  );
});

test("a server that takes the connection and is silent has no problem with TLS, and does not hold up the search", async () => {
  const silent = createTcpServer(() => {}).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  expect(await tlsProblemOf({ address, namespace: "n" })).toBeUndefined();
  expect(await tlsProblemOf({ address, namespace: "n", tls: {} })).toBeUndefined();
  silent.close();
});

test.each<[string, Record<string, string>, object, RegExp]>([
  [
    "a missing file",
    { ca: "/none/ca" },
    {},
    /^The file '\/none\/ca' for Temporal cannot be read: there is no such file$/,
  ],
  ["a file without a certificate", { ca: "text" }, {}, /text' for Temporal has no certificate \(PEM\)$/],
  [
    "an own certificate that has expired",
    { certificate: "oldCert", key: "oldKey" },
    {},
    /oldCert' for Temporal expired at 2021-12-31T/,
  ],
  [
    "the key of another",
    { certificate: "cert", key: "oldKey" },
    {},
    /^The key '.*oldKey' for Temporal is not that of the certificate '.*cert'$/,
  ],
  ["a key that is none", { certificate: "cert", key: "text" }, {}, /^The key '.*text' for Temporal is not that of/],
  ["an empty key file", {}, { apiKeyFile: "empty" }, /empty' for Temporal is empty$/],
  [
    "two keys",
    {},
    { apiKeyFile: "apiKey", apiKey: "k" },
    /TEMPORAL_API_KEY and 'temporal\.apiKeyFile' .* are both set$/,
  ],
])("%s ends the start in one sentence", async (_name, tls, more, message) => {
  const paths = Object.fromEntries(
    Object.entries(more).map(([name, value]) => [name, files[value as string] ?? value]),
  );
  const reading = readTarget({ address: "h:1", namespace: "n", tls: tlsOf(tls), ...paths });
  await expect(reading).rejects.toThrow(message);
});
