import { createServer, type AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { choosePort, isFree } from "../../../stack/host/ports.ts";

const host = "127.0.0.1";

async function takenPort(): Promise<{ port: number; free: () => void }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return { port: (server.address() as AddressInfo).port, free: () => void server.close() };
}

test("a wanted port that is taken is named in the error", async () => {
  const { port, free } = await takenPort();
  const chosen = choosePort("Temporal", { wanted: port, previous: undefined, host });
  await expect(chosen).rejects.toThrow(`Port ${port} on 127.0.0.1, configured for Temporal, is in use`);
  free();
});

test("the previous port is kept while it is free, else another one below the kernel's own range is taken", async () => {
  const first = await choosePort("x", { wanted: 0, previous: undefined, host });
  expect(first).toBeLessThan(32_768);
  expect(await choosePort("x", { wanted: 0, previous: first, host })).toBe(first);
  const { port, free } = await takenPort();
  const other = await choosePort("x", { wanted: 0, previous: port, host });
  expect(other).not.toBe(port);
  expect(await isFree(other, host)).toBe(true);
  free();
});
