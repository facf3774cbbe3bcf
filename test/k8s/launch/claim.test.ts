import { beforeEach, expect, test } from "vitest";
import { KubeRefusal } from "../../../k8s/client/kube-call.ts";
import type { Kube } from "../../../k8s/client/kube.ts";
import { createNamespaceClaim } from "../../../k8s/launch/claim.ts";
import type { ConfigMap } from "../../../k8s/spec/wire.ts";
import { CodedError } from "../../../model/errors.ts";

let claim: ConfigMap | undefined;
let namespaceLabels: Readonly<Record<string, string>> | undefined;
let failure: Error | undefined;
let calls: number;

beforeEach(() => {
  claim = failure = undefined;
  namespaceLabels = {};
  calls = 0;
});

/** Only the calls of a claim. */
const kube = {
  namespace: "jobs",
  async createConfigMap(map: ConfigMap) {
    calls += 1;
    if (failure) throw failure;
    if (!namespaceLabels) throw new KubeRefusal(404, "NotFound", 'namespaces "jobs" not found');
    const isFirst = claim === undefined;
    claim ??= map;
    return isFirst;
  },
  findConfigMap: async () => claim,
  async createNamespace(labels: Readonly<Record<string, string>>) {
    namespaceLabels = labels;
    return true;
  },
} as unknown as Kube;

const claimAs = (installationId: string, isOwn = false) => createNamespaceClaim({ kube, installationId, isOwn });

test("a namespace is that of the first installation, which can take it again", async () => {
  await claimAs("one")();
  await claimAs("one")();
  expect(claim).toMatchObject({ metadata: { name: "tyger-installation" }, immutable: true });
  await expect(claimAs("two")()).rejects.toMatchObject({
    code: "LaunchFailed",
    message:
      "The namespace 'jobs' belongs to the installation 'one', as its ConfigMap 'tyger-installation' says; this is 'two'",
  });
});

test("a claim is asked for once, and again after a failure", async () => {
  const take = claimAs("one");
  failure = new CodedError("Unavailable", "away");
  await expect(take()).rejects.toThrow("away");
  failure = undefined;
  await take();
  await take();
  expect(calls).toBe(2);
});

test("a namespace that does not exist is created if its name is ours, and is missed otherwise", async () => {
  namespaceLabels = undefined;
  await expect(claimAs("one")()).rejects.toMatchObject({
    code: "LaunchFailed",
    message: `The namespace 'jobs' cannot be used: namespaces "jobs" not found`,
  });
  await claimAs("one", true)();
  expect(namespaceLabels).toEqual({
    "tyger-installation": "one",
    "pod-security.kubernetes.io/enforce": "baseline",
  });
});

test.each([
  [403, "LaunchFailed"],
  [401, "Unavailable"],
])("a refusal with %i is %s, in the cluster's words", async (status, code) => {
  failure = new KubeRefusal(status, "", "configmaps is forbidden");
  const message = "The namespace 'jobs' cannot be used: configmaps is forbidden";
  await expect(claimAs("one")()).rejects.toMatchObject({ code, message });
});
