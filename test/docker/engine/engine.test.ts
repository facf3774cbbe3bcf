import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connectEngine } from "../../../docker/engine/engine.ts";

const OPEN_LOGS = 40;
const CALLS = 20;

/** An engine that knows nothing and whose logs never end. */
const server = createServer((req, res) => {
  if (req.url?.includes("/logs") === true) res.flushHeaders();
  else res.end("{}");
});
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tyger-engine-"));
  await new Promise<void>((resolve) => void server.listen(join(folder, "docker.sock"), resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

test("a call costs no more while many logs are followed", async () => {
  const engine = connectEngine(`unix://${join(folder, "docker.sock")}`);
  const cpuMsOfCalls = async (): Promise<number> => {
    const before = process.cpuUsage();
    for (let call = 0; call < CALLS; call++) await engine.gpu();
    return process.cpuUsage(before).user / 1000;
  };
  await cpuMsOfCalls();
  const alone = await cpuMsOfCalls();
  const ended = new AbortController();
  for (let i = 0; i < OPEN_LOGS; i++) {
    const log = await engine.logs("any", { follow: true }, ended.signal);
    log.on("error", () => undefined);
  }
  const beside = await cpuMsOfCalls();
  ended.abort();
  expect(beside).toBeLessThan(10 * alone + 50);
});
