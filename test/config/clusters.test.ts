import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readApiConfig, readWorkerConfig } from "../../config/server.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tyger-clusters-"));
});
afterAll(() => rm(folder, { recursive: true }));

const VARIABLES = {
  DATABASE_URL: "postgres://none",
  TEMPORAL_ADDRESS: "127.0.0.1:1",
  TYGER_DATA_DIR: "/data",
  TYGER_API_SOCKET: "/a",
  TYGER_DATA_SOCKET: "/d",
  TYGER_WORKFLOW_BUNDLE: "/b",
  TYGER_PUMP_MAIN: "/p",
  DOCKER_HOST: "unix:///own.sock",
};
async function read(text: string | undefined, variables: Record<string, string> = {}) {
  const file = join(folder, "tyger.yml");
  await writeFile(file, text ?? "");
  const env = { ...VARIABLES, ...(text !== undefined && { TYGER_CONFIG: file }), ...variables };
  const { clusters, clusterNames } = readWorkerConfig(env);
  return { clusters, clusterNames, api: readApiConfig(env).clusters };
}

const TWO = "clusters: [{ name: a }, { name: b-2, dockerHost: 'tcp://127.0.0.1:2375', maxLiveRuns: 5 }]";

test("without a list, a server has the one cluster that it has always had", async () => {
  for (const text of [undefined, "# clusters:"]) {
    expect(await read(text)).toMatchObject({
      clusters: [{ name: "docker", dockerHost: "unix:///own.sock", maxLiveRuns: 32 }],
      clusterNames: ["docker"],
      api: [{ name: "docker", dockerHost: "unix:///own.sock" }],
    });
  }
});

test("clusters have the engine and the slots of the environment where the file has none", async () => {
  const b = { name: "b-2", dockerHost: "tcp://127.0.0.1:2375", maxLiveRuns: 5 };
  expect(await read(TWO, { TYGER_MAX_LIVE_RUNS: "7" })).toMatchObject({
    clusters: [{ name: "a", dockerHost: "unix:///own.sock", maxLiveRuns: 7 }, b],
    clusterNames: ["a", "b-2"],
    api: [{ name: "a" }, b],
  });
});

test.each([
  ["b-2", ["b-2"]],
  ["b-2, a", ["b-2", "a"]],
])("a worker with TYGER_WORKER_CLUSTERS=%s serves those, and knows all", async (names, served) => {
  const { clusters, clusterNames } = await read(TWO, { TYGER_WORKER_CLUSTERS: names });
  expect([clusters.map(({ name }) => name), clusterNames]).toEqual([served, ["a", "b-2"]]);
});

test.each([
  ["clusters: []", "clusters: must have at least one cluster"],
  ["clusters: [{ dockerHost: 'unix:///d' }]", "clusters.0.name: "],
  ["clusters: [{ name: A }]", "clusters.0.name: must have lower-case letters, digits and hyphens, at most 40"],
  ["clusters: [{ name: a/../b }]", "clusters.0.name: must have"],
  ["clusters: [{ name: a, engine: x }]", 'clusters.0: Unrecognized key: "engine"'],
  ["clusters: [{ name: a, dockerHost: ssh://x }]", "clusters.0.dockerHost: must be unix:///PATH or tcp://HOST:PORT"],
  ["clusters: [{ name: a, maxLiveRuns: 0 }]", "clusters.0.maxLiveRuns: "],
  ["clusters: [{ name: a }, { name: a, dockerHost: 'unix:///d' }]", "clusters: two clusters have the name 'a'"],
  ["clusters: [{ name: a }, { name: b }]", "the clusters 'a' and 'b' are both 'unix:///own.sock'"],
  [
    "clusters: [{ name: a }, { name: b, dockerHost: 'unix:///own.sock' }]",
    "the clusters 'a' and 'b' are both 'unix:///own.sock'",
  ],
  [
    "clusters: [{ name: a, dockerHost: 'unix:///d' }, { name: k, kubeconfig: /k, namespace: t }]",
    "clusters: all clusters of a server must be of one kind: 'a' is a Docker engine, 'k' is a Kubernetes cluster",
  ],
  ["clusters: [{ name: k, inCluster: true }]", "clusters: this version runs on Docker engines only"],
])("%j is refused with its reason", async (text, reason) => {
  await expect(read(text)).rejects.toThrow(reason);
});

test("a worker of a cluster that is not configured is refused", async () => {
  await expect(read(TWO, { TYGER_WORKER_CLUSTERS: "a,c" })).rejects.toThrow("the configuration has no cluster 'c'");
});
