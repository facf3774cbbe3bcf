import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findClusterEngines } from "../../../stack/docker/cluster-engines.ts";

/** A folder, and an engine in it that answers. */
async function answeringEngine(): Promise<{ folder: string; host: string }> {
  const folder = mkdtempSync(join(tmpdir(), "tyger-engines-"));
  const socket = join(folder, "docker.sock");
  const server = createServer((_req, res) => res.end("OK"));
  await new Promise<void>((resolve) => void server.listen(socket, resolve));
  onTestFinished(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  return { folder, host: `unix://${socket}` };
}

async function find(runtimeDir: string, clusters: Record<string, string>) {
  const reports: string[] = [];
  const search = {
    userRuntimeDir: undefined,
    runtimeDir,
    path: "",
    uid: 1000,
    report: (line: string) => void reports.push(line),
  };
  const given = Object.entries(clusters).map(([name, dockerHost]) => ({ name, dockerHost }));
  const engines = await findClusterEngines(search, given);
  return { reports, engines: engines.map(({ name, engine, isAnswering }) => [name, engine.host, isAnswering]) };
}

test("the stack starts without the engine of one cluster, and the report names it", async () => {
  const { folder, host } = await answeringEngine();
  const away = `unix://${folder}/away.sock`;
  expect(await find(folder, { a: away, b: host })).toEqual({
    reports: [
      `the cluster 'a' cannot be used yet: The Docker engine at '${away}' cannot be used: there is no such socket; start the engine, or name another in DOCKER_HOST`,
    ],
    engines: [
      ["a", away, false],
      ["b", host, true],
    ],
  });
});

test("the stack does not start when no cluster has an engine that answers", async () => {
  const { folder } = await answeringEngine();
  const [first, second] = [`unix://${folder}/first.sock`, `unix://${folder}/second.sock`];
  await expect(find(folder, { a: first, b: second })).rejects.toThrow(`'${first}' cannot be used`);
});

test("an engine that cannot share named pipes is refused, even if another cluster can be used", async () => {
  const { folder, host } = await answeringEngine();
  await expect(find(folder, { a: host, b: "https://far:2376" })).rejects.toThrow("'https://far:2376'");
});
