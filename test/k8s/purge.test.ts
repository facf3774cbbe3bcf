import { beforeEach, expect, test } from "vitest";
import type { Kube } from "../../k8s/client/kube.ts";
import { purge } from "../../k8s/purge.ts";
import type { ObjectMeta, Pod } from "../../k8s/spec/wire.ts";

let calls: string[];
let namespace: { metadata: ObjectMeta } | undefined;
let owner: string | undefined;
let pods: Pod[];
beforeEach(() => {
  calls = [];
  owner = "inst";
  namespace = { metadata: { name: "jobs", labels: { "tyger-installation": "inst" } } };
  pods = [{ metadata: { name: "run-7-job-0" } }];
});

/** Only the calls of a purge. */
const kube = {
  namespace: "jobs",
  findNamespace: async () => namespace,
  findConfigMap: async () =>
    owner === undefined ? undefined : { metadata: { name: "tyger-installation" }, data: { installation: owner } },
  listSecrets: async () => [{ name: "run-7-job" }],
  deleteSecret: async ({ name }: ObjectMeta) => void calls.push(`delete secret ${name}`),
  listPods: async () => ({ pods, resourceVersion: "1" }),
  deletePod: async ({ metadata }: Pod) => void calls.push(`delete pod ${metadata?.name}`),
  async releasePod({ metadata }: Pod) {
    calls.push(`release pod ${metadata?.name}`);
    pods = [];
    // The cluster removes it when nothing of it is left.
    if (calls.includes("delete namespace")) namespace = undefined;
  },
  listConfigMaps: async () => [{ name: "tyger-installation" }, { name: "program" }],
  deleteNamespace: async () => void calls.push("delete namespace"),
  deleteConfigMap: async ({ name }: ObjectMeta) => void calls.push(`delete map ${name}`),
} as unknown as Kube;

const ENDED = ["delete pod run-7-job-0", "release pod run-7-job-0"];

test("the namespace that we created is removed, with the finalizers of its pods", async () => {
  await purge(kube, "inst");
  expect(calls).toEqual(["delete secret run-7-job", "delete namespace", ...ENDED]);
});

test("of a namespace that existed, our objects are removed, and the claim last", async () => {
  namespace = { metadata: { name: "jobs" } };
  await purge(kube, "inst");
  expect(calls).toEqual(["delete secret run-7-job", ...ENDED, "delete map program", "delete map tyger-installation"]);
});

test("the namespace of another installation stays as it is", async () => {
  owner = "another";
  await expect(purge(kube, "inst")).rejects.toMatchObject({
    code: "Conflict",
    message: "The namespace 'jobs' belongs to the installation 'another'; nothing was removed",
  });
  expect(calls).toEqual([]);
});

test("a namespace that does not exist needs nothing", async () => {
  namespace = undefined;
  await purge(kube, "inst");
  expect(calls).toEqual([]);
});
