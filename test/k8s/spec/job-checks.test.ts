import { expect, test } from "vitest";
import { POD_DEFAULTS, type PodSettings } from "../../../k8s/spec/cluster-settings.ts";
import { checkJob } from "../../../k8s/spec/job-checks.ts";
import type { JobCodespec } from "../../../model/codespec/codespec.ts";
import type { RunRequest } from "../../../model/run/run.ts";

const settings: PodSettings = {
  ...POD_DEFAULTS,
  installationId: "inst",
  namespace: "jobs",
  nodePools: [
    { name: "cpu", nodeSelector: { pool: "cpu" } },
    { name: "gpu", nodeSelector: { pool: "gpu" }, hasGpu: true },
  ],
  identities: { reader: "reader-account" },
  pump: { image: "node", serverUrl: "https://data.example.com" },
};

function check(codespec: Partial<JobCodespec>, job: object = {}, more: Partial<RunRequest> = {}, of = settings): void {
  const inline: JobCodespec = { kind: "job", image: "img", ...codespec };
  const request: RunRequest = {
    job: { codespec: { inline }, ...job },
    timeoutSeconds: 1,
    bufferAccessTtl: "01:00:00",
    ...more,
  };
  checkJob(request, inline, of);
}

test.each<[string, Partial<JobCodespec>, object]>([
  ["an image that this machine does not have", { image: "registry.example/none" }, {}],
  ["a node pool in another case", {}, { nodePool: "CPU" }],
  ["a GPU without a pool", { resources: { gpu: "1" } }, {}],
  ["no GPU at all in a pool without GPUs", { resources: { gpu: "0" } }, { nodePool: "cpu" }],
  ["a known identity", { identity: "reader" }, {}],
  ["several replicas", {}, { replicas: 3 }],
])("a job with %s is accepted", (_name, codespec, job) => {
  expect(() => check(codespec, job)).not.toThrow();
});

test.each<[string, Partial<JobCodespec>, object, string]>([
  ["an unknown pool", {}, { nodePool: "big" }, "Unknown nodepool 'big'; the cluster has 'cpu', 'gpu'"],
  [
    "a GPU in a pool without GPUs",
    { resources: { gpu: "1" } },
    { nodePool: "Cpu" },
    "The codespec needs GPUs, and the node pool 'cpu' has none",
  ],
  ["an unknown identity", { identity: "admin" }, {}, "Unknown identity 'admin'; the cluster has 'reader'"],
])("a job with %s is refused", (_name, codespec, job, message) => {
  expect(() => check(codespec, job)).toThrow(expect.objectContaining({ code: "InvalidInput", message }));
});

test("a job with buffers is refused where pods do not reach the server", () => {
  const codespec: Partial<JobCodespec> = { buffers: { inputs: ["in"] } };
  expect(() => check(codespec)).not.toThrow();
  const away = { ...settings, pump: { ...settings.pump, serverUrl: undefined } };
  const message = expect.stringContaining("set 'dataPlane.publicUrl'");
  expect(() => check(codespec, {}, {}, away)).toThrow(expect.objectContaining({ code: "InvalidInput", message }));
});

test("workers are refused", () => {
  const worker = { codespec: { name: "w" } };
  const message = "Runs with a 'worker' are not supported on Kubernetes by this version";
  expect(() => check({}, {}, { worker })).toThrow(expect.objectContaining({ code: "InvalidInput", message }));
});
