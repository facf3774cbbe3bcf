import { createServer } from "node:net";
import { expect, test } from "vitest";
import { connectClient, connectionOptionsOf, openClient } from "../../temporal/connection.ts";

test("an API key turns on TLS, for every kind of connection", () => {
  const target = { address: "cloud:7233", namespace: "n" };
  expect(connectionOptionsOf(target)).toEqual({ address: "cloud:7233" });
  expect(connectionOptionsOf({ ...target, apiKey: "k" })).toEqual({ address: "cloud:7233", apiKey: "k", tls: true });
});

test.each([
  ["refuses connections", false],
  ["takes connections and never answers", true],
])("a server that %s is given up with its address in the message", async (_name, listens) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  if (!listens) await new Promise((resolve) => server.close(resolve));
  const connecting = connectClient({ address: `127.0.0.1:${port}`, namespace: "default" }, 500);
  await expect(connecting).rejects.toThrow(`Temporal at '127.0.0.1:${port}' did not answer within 0.5 s`);
  if (listens) server.close();
});

test("a call that fails is not repeated by the client itself: its retries would outlive the connection", async () => {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const client = openClient({ address: `127.0.0.1:${port}`, namespace: "default" });
  await expect(client.workflowService.getSystemInfo({})).rejects.toThrow("UNAVAILABLE");
  expect(connections).toBe(1);
  await client.connection.close();
  server.close();
});
