import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, type Server } from "node:tls";
import { NativeConnection } from "@temporalio/worker";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { connectClient, connectionOptionsOf } from "../../temporal/connection.ts";
import { readTarget } from "../../temporal/target.ts";
import { createAuthority } from "../fakes/certificate.ts";

const [authority, clients, strangers] = [createAuthority(), createAuthority(), createAuthority()];
let folder: string;
const proxies: Server[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tyger-tls-"));
  const own = clients.issue();
  const files = { ca: authority.cert, strangers: strangers.cert, "own.crt": own.cert, "own.key": own.key };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
});
afterAll(async () => {
  for (const proxy of proxies) proxy.close();
  await rm(folder, { recursive: true });
});

/** The dev server behind a proxy that asks clients for certificates. */
async function proxied(certificate = authority.issue()): Promise<string> {
  const [host = "", port = ""] = inject("temporalAddress").split(":");
  const options = {
    ...certificate,
    ca: clients.cert,
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ["h2"],
  };
  const proxy = createServer(options, (socket) => {
    const inner = connect(Number(port), host);
    socket.on("error", () => inner.destroy()).pipe(inner);
    inner.on("error", () => socket.destroy()).pipe(socket);
  });
  proxies.push(proxy.listen(0, "127.0.0.1"));
  await once(proxy, "listening");
  return `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}
const targetAt = (address: string, ca = "ca") => {
  const [certificate, key] = [join(folder, "own.crt"), join(folder, "own.key")];
  return readTarget({ address, namespace: "default", tls: { ca: join(folder, ca), certificate, key } });
};

test("both kinds of connections of API and worker work over mutual TLS", async () => {
  const target = await targetAt(await proxied());
  const client = await connectClient(target, 10_000);
  const { namespaceInfo } = await client.workflowService.describeNamespace({ namespace: "default" });
  expect(namespaceInfo?.name).toBe("default");
  const native = await NativeConnection.connect(connectionOptionsOf(target));
  const described = await native.workflowService.describeNamespace({ namespace: "default" });
  expect(described.namespaceInfo?.name).toBe("default");
  await Promise.all([native.close(), client.connection.close()]);
});

test.each([
  ["the wrong authority", undefined, "strangers", "its certificate is from an authority that is not trusted"],
  ["an expired certificate", "21", "ca", "its certificate has expired"],
])("with %s a start ends at once, in one sentence", async (_name, untilYear, ca, reason) => {
  const address = await proxied(authority.issue(untilYear === undefined ? {} : { untilYear }));
  const connecting = connectClient(await targetAt(address, ca), 60_000);
  await expect(connecting).rejects.toThrow(`Temporal at '${address}' cannot be used: ${reason}`);
});
