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

const kube = (settings: string): string => `clusters: [{ name: k, ${settings} }]`;

test("a Kubernetes cluster has its settings, with absolute paths, and slots of its own", async () => {
  const { clusters, api } = await read(`
clusters:
  - name: near
    kubeconfig: kube/config
    context: admin
    namespace: jobs
    nodePools: [{ name: gpu, nodeSelector: { pool: g }, tolerations: [{ key: gpu, operator: Exists }], gpu: true }]
    identities: { reader: reader-account }
    imagePullSecrets: [registry]
    imagePullPolicy: Never
    durations: { userImageSeconds: 5 }
  - { name: here, inCluster: true, maxLiveRuns: 3 }
`);
  const near = {
    kind: "kubernetes",
    name: "near",
    access: { kubeconfig: join(folder, "kube/config"), context: "admin" },
    namespace: "jobs",
    nodePools: [
      { name: "gpu", nodeSelector: { pool: "g" }, tolerations: [{ key: "gpu", operator: "Exists" }], gpu: true },
    ],
    identities: { reader: "reader-account" },
    imagePullSecrets: ["registry"],
    imagePullPolicy: "Never",
    durations: { userImageSeconds: 5 },
  };
  const here = { kind: "kubernetes", name: "here", access: { inCluster: true } };
  expect(clusters).toEqual([
    { ...near, maxLiveRuns: 5000 },
    { ...here, maxLiveRuns: 3 },
  ]);
  expect(api).toMatchObject([near, here]);
});

test("a kubeconfig in the environment is the one cluster", async () => {
  const given = { TYGER_KUBECONFIG: "/k", TYGER_KUBE_CONTEXT: "c", TYGER_KUBE_NAMESPACE: "jobs" };
  const access = { kubeconfig: "/k", context: "c" };
  const kubernetes = { kind: "kubernetes", name: "kubernetes", access, namespace: "jobs" };
  expect(await read(undefined, given)).toMatchObject({ clusters: [kubernetes], api: [kubernetes] });
  await expect(read(TWO, given)).rejects.toThrow(
    "Invalid configuration: a kubeconfig is given, and the configuration file has 'clusters'",
  );
});

test("the address for pods in the environment is the data plane, unless the file has one", async () => {
  const file = join(folder, "plane.yml");
  const env = { ...VARIABLES, TYGER_POD_LISTEN: "10.0.0.1:7" };
  expect(readApiConfig(env).dataPlane).toEqual({ listen: "10.0.0.1:7", publicUrl: "http://10.0.0.1:7" });
  expect(readWorkerConfig(env).serverUrl).toBe("http://10.0.0.1:7");
  await writeFile(file, "dataPlane: { publicUrl: 'https://data.example' }");
  expect(readWorkerConfig({ ...VARIABLES, TYGER_CONFIG: file }).serverUrl).toBe("https://data.example");
  expect(() => readApiConfig({ ...env, TYGER_CONFIG: file })).toThrow(
    "Invalid configuration: TYGER_POD_LISTEN and 'dataPlane' of the configuration file are both set",
  );
});

test("two namespaces of one cluster are two clusters", async () => {
  const text = "clusters: [{ name: a, kubeconfig: /k, namespace: a }, { name: b, kubeconfig: /k, namespace: b }]";
  expect((await read(text)).clusterNames).toEqual(["a", "b"]);
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
  [kube("namespace: t"), "clusters.0: needs a kubeconfig, or inCluster: true"],
  [kube("kubeconfig: /k, inCluster: true"), "clusters.0: kubeconfig and inCluster are both set"],
  [kube("inCluster: true, context: c"), "clusters.0: context needs a kubeconfig"],
  [kube("inCluster: true, dockerHost: 'unix:///d'"), 'clusters.0: Unrecognized key: "dockerHost"'],
  [kube("inCluster: true, namespace: A/b"), "clusters.0.namespace: must be the name of a namespace"],
  [kube("inCluster: true, identities: { a: 'b c' }"), "clusters.0.identities.a: must be the name of a service account"],
  [kube("inCluster: true, imagePullPolicy: Maybe"), "clusters.0.imagePullPolicy: "],
  [kube("inCluster: true, durations: { relist: 1 }"), 'clusters.0.durations: Unrecognized key: "relist"'],
  [kube("inCluster: true, durations: { relistSeconds: 0 }"), "clusters.0.durations.relistSeconds: "],
  [
    kube("inCluster: true, nodePools: [{ name: a, nodeSelector: {} }]"),
    "clusters.0.nodePools.0.nodeSelector: must have a label, which the nodes of the pool have",
  ],
  [
    kube("inCluster: true, nodePools: [{ name: a, nodeSelector: { p: a } }, { name: A, nodeSelector: { p: b } }]"),
    "clusters.0: two node pools have the name 'a'",
  ],
  [
    "clusters: [{ name: a, kubeconfig: /k, context: c }, { name: b, kubeconfig: /k, context: c }]",
    "the clusters 'a' and 'b' are both the namespace of the installation in the cluster of '/k', context 'c'",
  ],
])("%j is refused with its reason", async (text, reason) => {
  await expect(read(text)).rejects.toThrow(reason);
});

test("a worker of a cluster that is not configured is refused", async () => {
  await expect(read(TWO, { TYGER_WORKER_CLUSTERS: "a,c" })).rejects.toThrow("the configuration has no cluster 'c'");
});
