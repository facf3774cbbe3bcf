import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, inject, onTestFinished, test } from "vitest";
import { isTemporalServing, temporalProblem } from "../../../stack/temporal/temporal-health.ts";

test("a Temporal that serves and has the namespace has no problem", async () => {
  const address = inject("temporalAddress");
  expect(await isTemporalServing(address)).toBe(true);
  expect(await temporalProblem(address, "default")).toBeUndefined();
});

test.each(["nosuch", "n".repeat(200)])("a namespace '%s' that is not there is named", async (namespace) => {
  const problem = await temporalProblem(inject("temporalAddress"), namespace);
  expect(problem).toBe(`has no namespace '${namespace}'; create it, or name another in TEMPORAL_NAMESPACE`);
});

test.each([
  ["says nothing", () => {}],
  ["hangs up", (socket: { destroy(): void }) => socket.destroy()],
  ["speaks something else", (socket: { end(text: string): void }) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")],
])("a server that %s is not a Temporal server, in bounded time", async (_what, serve) => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    serve(socket);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const address = `127.0.0.1:${port}`;
  expect(await temporalProblem(address, "default", 1000)).toMatch(/^does not answer like a Temporal server/);
  expect(await isTemporalServing(address)).toBe(false);
});
