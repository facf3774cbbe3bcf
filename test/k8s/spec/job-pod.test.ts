import { describe, expect, test } from "vitest";
import { POD_DEFAULTS, type NodePool, type PodSettings } from "../../../k8s/spec/cluster-settings.ts";
import { jobPodOf, jobSecretOf, tokenIn } from "../../../k8s/spec/job-pod.ts";
import { isOfRun, replicaInMeta, runInMeta } from "../../../k8s/spec/names.ts";
import type { Container, Pod } from "../../../k8s/spec/wire.ts";
import type { JobCodespec } from "../../../model/codespec/codespec.ts";
import type { RunRecord } from "../../../model/run/run.ts";
import { runOf } from "../runs.ts";

const CREATED_AT = "2026-01-01T10:00:00Z";
const SETTINGS: PodSettings = { ...POD_DEFAULTS, installationId: "inst", namespace: "jobs" };
const CPU: NodePool = { name: "cpu", nodeSelector: { pool: "cpu", tyger: "run" } };
const GPU: NodePool = {
  name: "gpu",
  nodeSelector: { pool: "gpu" },
  tolerations: [{ key: "extra", operator: "Exists" }],
  hasGpu: true,
};
const POOLS: PodSettings = { ...SETTINGS, nodePools: [CPU, { name: "big", nodeSelector: { pool: "big" } }, GPU] };

const run7 = (codespec: Partial<JobCodespec> = {}, more: Partial<RunRecord> = {}, nodePool?: string): RunRecord => {
  const run = runOf(codespec, { id: 7, uid: "abc", createdAt: CREATED_AT, ...more });
  return nodePool === undefined ? run : { ...run, job: { ...run.job, nodePool } };
};
const podOf = (run: RunRecord, settings = SETTINGS, replica = 0): Pod =>
  jobPodOf(run, replica, settings, Date.parse(CREATED_AT) + 10_000);
const mainOf = (codespec: Partial<JobCodespec>): Container | undefined => podOf(run7(codespec)).spec?.containers[0];

test("the whole pod of a plain job", () => {
  const notReached = { operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 };
  expect(podOf(run7({}, { replicaCount: 3 }), SETTINGS, 2)).toEqual({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "run-7-job-2",
      namespace: "jobs",
      labels: {
        "tyger-installation": "inst",
        "tyger-run": "7",
        "tyger-run-uid": "abc",
        "tyger-job": "7",
        "tyger-replica": "2",
      },
      annotations: { "tyger-job-replica-count": "3", "tyger-run-created-at": CREATED_AT },
      finalizers: ["tyger/exit-recorded"],
    },
    spec: {
      restartPolicy: "Never",
      // 600 s less the 10 that have passed, and the margin.
      activeDeadlineSeconds: 890,
      tolerations: [
        { key: "tyger", operator: "Equal", value: "run", effect: "NoSchedule" },
        { key: "node.kubernetes.io/not-ready", ...notReached },
        { key: "node.kubernetes.io/unreachable", ...notReached },
      ],
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: { seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          name: "main",
          image: "img",
          imagePullPolicy: "IfNotPresent",
          env: [
            {
              name: "TYGER_RUN_ID",
              valueFrom: { secretKeyRef: { name: "run-7-job", key: "replica-2", optional: false } },
            },
          ],
          resources: { requests: {}, limits: {} },
          securityContext: { capabilities: { drop: ["NET_RAW", "MKNOD", "AUDIT_WRITE", "SETFCAP"] } },
        },
      ],
      volumes: [],
    },
  });
});

test("the Secret has a key for each replica, and labels like the pods", () => {
  expect(jobSecretOf(run7({}, { replicaCount: 2 }), SETTINGS)).toEqual({
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: "run-7-job",
      namespace: "jobs",
      labels: { "tyger-installation": "inst", "tyger-run": "7", "tyger-run-uid": "abc", "tyger-job": "7" },
      annotations: { "tyger-job-replica-count": "2" },
    },
    type: "Opaque",
    data: { "replica-0": "Nw==", "replica-1": "Nw==" },
  });
});

test.each<[string, number, number]>([
  ["a run that waited past its deadline and the margin", 3600, 1],
  ["a run with days", -86_400, 86_400 + 900],
  ["a timeout that the cluster cannot count", -1e10, 2 ** 31 - 1],
])("the deadline of %s is one that the cluster takes", (_name, passedSeconds, expected) => {
  const pod = jobPodOf(run7(), 0, SETTINGS, Date.parse(CREATED_AT) + passedSeconds * 1000);
  expect(pod.spec?.activeDeadlineSeconds).toBe(expected);
});

describe("the command line", () => {
  test.each<[string, Partial<JobCodespec>, object]>([
    ["a command", { command: ["a"] }, { command: ["a"] }],
    ["a command and arguments", { command: ["a"], args: ["b"] }, { command: ["a"], args: ["b"] }],
    ["arguments alone leave the entrypoint", { args: ["b"] }, { args: ["b"] }],
    ["an empty command is none", { command: [], args: ["b"] }, { args: ["b"] }],
    ["a variable is replaced", { args: ["$(TYGER_RUN_ID) $(A)"], env: { A: "x" } }, { args: ["7 x"] }],
    // The kubelet turns each `$$` back into `$`.
    ["a shell's own text stays", { args: ["echo $$ $(cat x) $HOME"] }, { args: ["echo $$$$ $$(cat x) $$HOME"] }],
    ["an escaped reference is literal", { args: ["$$(A)"], env: { A: "x" } }, { args: ["$$(A)"] }],
  ])("%s", (_name, codespec, expected) => {
    const { command, args } = mainOf(codespec) ?? {};
    expect({ ...(command && { command }), ...(args && { args }) }).toEqual(expected);
  });

  test("environment variables follow our own, which wins", () => {
    const env = mainOf({ env: { A: "$(TYGER_RUN_ID)$x", TYGER_RUN_ID: "8", B: "$(A)" } })?.env;
    expect(env?.slice(1)).toEqual([
      { name: "A", value: "7$$x" },
      { name: "B", value: "7$$x" },
    ]);
    expect(env?.[0]?.valueFrom?.secretKeyRef?.key).toBe("replica-0");
  });

  test("the working directory is applied", () => {
    expect(mainOf({ workingDir: "/data" })?.workingDir).toBe("/data");
  });
});

describe("resources", () => {
  test("are those of the codespec, GPUs as both", () => {
    const resources = { requests: { cpu: "500m" }, limits: { memory: "1Gi" }, gpu: "2" };
    expect(mainOf({ resources })?.resources).toEqual({
      requests: { cpu: "500m", "nvidia.com/gpu": "2" },
      limits: { memory: "1Gi", "nvidia.com/gpu": "2" },
    });
    expect(mainOf({ resources: { gpu: "0" } })?.resources).toEqual({ requests: {}, limits: {} });
  });

  test("shared memory is a volume of its size", () => {
    const { spec } = podOf(run7({ resources: { shm: "1Gi" } }));
    expect(spec?.volumes).toEqual([{ name: "shm", emptyDir: { medium: "Memory", sizeLimit: "1Gi" } }]);
    expect(spec?.containers[0]?.volumeMounts).toEqual([{ name: "shm", mountPath: "/dev/shm" }]);
  });
});

describe("placement", () => {
  const GPU_CODESPEC: Partial<JobCodespec> = { resources: { gpu: "1" } };
  const tolerates = ({ spec }: Pod): (string | undefined)[] =>
    (spec?.tolerations ?? []).map(({ key }) => key).filter((key) => !key?.startsWith("node."));

  test("a named pool, in any case, is a node selector", () => {
    const pod = podOf(run7({}, {}, "CPU"), POOLS);
    expect(pod.spec?.nodeSelector).toEqual({ pool: "cpu", tyger: "run" });
    expect(tolerates(pod)).toEqual(["tyger"]);
  });

  test("without a name, all pools without GPUs can be used", () => {
    const { spec } = podOf(run7(), POOLS);
    const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    expect(spec?.nodeSelector).toBeUndefined();
    expect(required?.nodeSelectorTerms).toEqual([
      {
        matchExpressions: [
          { key: "pool", operator: "In", values: ["cpu"] },
          { key: "tyger", operator: "In", values: ["run"] },
        ],
      },
      { matchExpressions: [{ key: "pool", operator: "In", values: ["big"] }] },
    ]);
  });

  test.each<[string, Partial<JobCodespec>, string | undefined]>([
    ["needs GPUs", GPU_CODESPEC, undefined],
    ["names a pool that has some", {}, "gpu"],
    ["does both", GPU_CODESPEC, "Gpu"],
  ])("a job that %s gets the pool with GPUs, and its taints", (_name, codespec, nodePool) => {
    const pod = podOf(run7(codespec, {}, nodePool), POOLS);
    expect(pod.spec?.nodeSelector).toEqual({ pool: "gpu" });
    expect(tolerates(pod)).toEqual(["tyger", "sku", "extra"]);
  });

  test("a job that needs no GPU runs on nodes that have some where there are no others", () => {
    expect(podOf(run7(), { ...SETTINGS, nodePools: [GPU] }).spec?.nodeSelector).toEqual({ pool: "gpu" });
  });

  test.each<[string, Partial<JobCodespec>, string | undefined, PodSettings, string]>([
    ["an unknown pool", {}, "x", POOLS, "Unknown nodepool 'x'; the cluster has 'cpu', 'big', 'gpu'"],
    ["a pool where there are none", {}, "x", SETTINGS, "Unknown nodepool 'x'; the cluster has no node pools"],
    ["a pool without GPUs", GPU_CODESPEC, "CPU", POOLS, "The codespec needs GPUs, and the node pool 'cpu' has none"],
    [
      "GPUs that no pool has",
      GPU_CODESPEC,
      undefined,
      { ...SETTINGS, nodePools: [CPU] },
      "The codespec needs GPUs, and no node pool of the cluster has any ('cpu')",
    ],
    [
      "an unknown identity",
      { identity: "x" },
      undefined,
      { ...SETTINGS, identities: { mine: "account" } },
      "Unknown identity 'x'; the cluster has 'mine'",
    ],
  ])("%s is refused", (_name, codespec, nodePool, settings, message) => {
    expect(() => podOf(run7(codespec, {}, nodePool), settings)).toThrow(
      expect.objectContaining({ code: "InvalidInput", message }),
    );
  });

  test("an identity is a service account whose token the job gets", () => {
    const { spec } = podOf(run7({ identity: "mine" }), { ...SETTINGS, identities: { mine: "account" } });
    expect(spec?.serviceAccountName).toBe("account");
    expect(spec?.automountServiceAccountToken).toBe(true);
  });

  test("images are pulled as the cluster is set up", () => {
    const settings = { ...SETTINGS, imagePullPolicy: "Never" as const, imagePullSecrets: ["a", "b"] };
    const { spec } = podOf(run7(), settings);
    expect(spec?.imagePullSecrets).toEqual([{ name: "a" }, { name: "b" }]);
    expect(spec?.containers[0]?.imagePullPolicy).toBe("Never");
  });
});

describe("the run of an object", () => {
  const meta = podOf(run7({}, { replicaCount: 3 }), SETTINGS, 1).metadata ?? {};

  test("is in its labels", () => {
    expect(runInMeta(meta)).toEqual({ id: 7, uid: "abc" });
    expect(replicaInMeta(meta)).toEqual({ index: 1, count: 3 });
  });

  test.each<[string, string, object, boolean]>([
    ["this run of ours", "inst", { id: 7, uid: "abc" }, true],
    ["a run of another installation", "other", { id: 7, uid: "abc" }, false],
    ["another run with the number", "inst", { id: 7, uid: "xyz" }, false],
    ["a run without a uid", "inst", { id: 7 }, false],
  ])("%s", (_name, installationId, run, expected) => {
    expect(isOfRun(meta, installationId, run as RunRecord)).toBe(expected);
  });

  test.each([
    ["no index", { labels: {}, annotations: meta.annotations ?? {} }],
    ["an index out of range", { labels: { "tyger-replica": "3" }, annotations: meta.annotations ?? {} }],
    ["no count", { labels: meta.labels ?? {} }],
  ])("labels with %s name no replica", (_name, odd) => {
    expect(replicaInMeta(odd)).toBeUndefined();
  });
});

describe("a job with buffers", () => {
  const settings: PodSettings = {
    ...SETTINGS,
    pump: { image: "node:24-slim", serverUrl: "https://tyger.example.com", program: "tyger-pump-1" },
  };
  const run = run7({ buffers: { inputs: ["my-in"], outputs: ["out"] }, args: ["$(OUT_PIPE)"] });
  const ids = run.job.buffers ?? {};
  const { metadata, spec } = podOf(run, settings, 0);
  const containerOf = (name: string): Container | undefined => spec?.containers.find((one) => one.name === name);
  const security = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"] },
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    runAsUser: 65_532,
    runAsGroup: 65_532,
    seccompProfile: { type: "RuntimeDefault" },
  };
  const own = { image: "node:24-slim", imagePullPolicy: "IfNotPresent", securityContext: security };
  const pipes = { name: "pipes", mountPath: "/etc/buffer-fifos" };

  test("finds its pipes by their variables, and sees nothing else of them", () => {
    const main = containerOf("main");
    expect(main?.env?.slice(1)).toEqual([
      { name: "MY-IN_PIPE", value: "/etc/buffer-fifos/my-in" },
      { name: "OUT_PIPE", value: "/etc/buffer-fifos/out" },
    ]);
    expect(main?.args).toEqual(["/etc/buffer-fifos/out"]);
    expect(main?.volumeMounts).toEqual([pipes]);
    expect(metadata?.annotations?.["kubectl.kubernetes.io/default-container"]).toBe("main");
  });

  test("has its pipes made before it begins", () => {
    const command = ["mkfifo", "-m", "0666", "--", "/etc/buffer-fifos/my-in", "/etc/buffer-fifos/out"];
    expect(spec?.initContainers).toEqual([{ ...own, name: "pipes", command, volumeMounts: [pipes] }]);
    expect(spec?.volumes?.find(({ name }) => name === "pipes")).toEqual({ name: "pipes", emptyDir: {} });
  });

  test("has a pump with a program, instructions and a token that only it mounts", () => {
    expect(containerOf("pump")).toEqual({
      ...own,
      name: "pump",
      command: ["node", "--disable-sigusr1", "--max-semi-space-size=1", "/etc/tyger-pump/pump.mjs", "/etc/tyger-pump"],
      volumeMounts: [pipes, { name: "pump", mountPath: "/etc/tyger-pump", readOnly: true }],
      terminationMessagePath: "/dev/termination-log",
    });
    expect(spec?.volumes?.find(({ name }) => name === "pump")?.projected?.sources).toEqual([
      { configMap: { name: "tyger-pump-1", items: [{ key: "pump.mjs", path: "pump.mjs" }] } },
      { secret: { name: "run-7-job", items: [{ key: "pump-token-0", path: "token" }] } },
      {
        downwardAPI: { items: [{ path: "pump.json", fieldRef: { fieldPath: "metadata.annotations['tyger-pump']" } }] },
      },
    ]);
  });

  test("tells its pump where the buffers are", () => {
    const api = { url: "https://tyger.example.com", path: "/pumps/7-abc/0", tokenFile: "token" };
    const place = { api, accessTtl: "01:00:00" };
    expect(JSON.parse(metadata?.annotations?.["tyger-pump"] ?? "")).toEqual({
      runId: 7,
      channel: api,
      pipes: [
        { parameter: "my-in", direction: "input", bufferId: ids["my-in"], place, path: "/etc/buffer-fifos/my-in" },
        { parameter: "out", direction: "output", bufferId: ids["out"], place, path: "/etc/buffer-fifos/out" },
      ],
      writer: "run-7-abc-0",
      terminationFile: "/dev/termination-log",
    });
  });

  test("has the tokens of its pumps in its Secret", () => {
    const secret = jobSecretOf(run7({}, { replicaCount: 2 }), settings, ["first", "second"]);
    expect(Object.keys(secret.data ?? {})).toEqual(["replica-0", "replica-1", "pump-token-0", "pump-token-1"]);
    expect([0, 1, 2].map((replica) => tokenIn(secret, replica))).toEqual(["first", "second", undefined]);
  });

  test.each<[string, RunRecord, PodSettings, RegExp]>([
    ["a server that pods cannot reach", run, SETTINGS, /set 'dataPlane.publicUrl'/],
    ["a parameter without a buffer", { ...run, job: { ...run.job, buffers: {} } }, settings, /'my-in' has no buffer/],
  ])("is refused with %s", (_name, given, of, message) => {
    expect(() => podOf(given, of)).toThrow(
      expect.objectContaining({ code: "LaunchFailed", message: expect.stringMatching(message) }),
    );
  });
});
