import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { base32 } from "../../../model/buffer/buffer.ts";
import { eventually } from "../../eventually.ts";
import { dropNamespace, kubectl, PATIENT, startCounter, startKubeStack } from "./kube-stack.ts";
import type { Counter, KubeStack } from "./kube-stack.ts";

const why = inject("whyNoCluster");

test("there is a cluster", ({ skip }) => {
  skip(why !== "", why);
  expect(inject("kubeconfig")).not.toBe("");
});

/** Two namespaces of the cluster, which are two clusters of a server. */
function describeClusters(): void {
  let kube: KubeStack;
  let counter: Counter;
  const word = base32(randomBytes(5));
  const [one, two] = [`tyger-test-${word}-1`, `tyger-test-${word}-2`];
  beforeAll(async () => {
    counter = await startCounter();
    for (const namespace of [one, two]) await kubectl("create", "namespace", namespace);
    kube = await startKubeStack([
      { name: "one", namespace: one },
      { name: "two", namespace: two, maxLiveRuns: 1 },
    ]);
  });
  afterAll(async () => {
    await kube?.close();
    await counter?.close();
    for (const namespace of [one, two]) await dropNamespace(namespace);
  });

  const podsIn = async (namespace: string): Promise<string[]> =>
    (await kubectl("-n", namespace, "get", "pods", "-o", "name")).split("\n").filter(Boolean);

  test("a run is a pod in the namespace of its cluster", async () => {
    const first = await kube.shell("sleep 3");
    const second = await kube.shell("sleep 3", ["--cluster", "TWO"]);
    await eventually(async () => (await podsIn(one)).length === 1, PATIENT);
    expect(await podsIn(one)).toEqual([`pod/run-${first}-job-0`]);
    await eventually(async () => (await podsIn(two)).length === 1, PATIENT);
    expect(await podsIn(two)).toEqual([`pod/run-${second}-job-0`]);
    expect(await kube.ended(first)).toMatchObject({ status: "Succeeded", cluster: "one" });
    expect(await kube.ended(second)).toMatchObject({ status: "Succeeded", cluster: "two" });
    await kube.removed(first, one);
    await kube.removed(second, two);
    await expect(kube.shell("true", ["--cluster", "three"])).rejects.toThrow(
      "Unknown cluster 'three'; this server has 'one', 'two'",
    );
  });

  test("a cluster has slots of its own: a run that gets none has no pod", async () => {
    const first = await kube.shell("sleep 8", ["--cluster", "two"]);
    await eventually(async () => (await kube.show(first)).status === "Running", PATIENT);
    const second = await kube.shell("true", ["--cluster", "two"]);
    const elsewhere = await kube.shell("true", ["--cluster", "one"]);
    expect(await kube.ended(elsewhere)).toMatchObject({ status: "Succeeded" });
    expect(await podsIn(two)).toEqual([`pod/run-${first}-job-0`]);
    expect(await kube.ended(second)).toMatchObject({ status: "Succeeded" });
  });

  test("a pod and a Secret that were created after their run was removed are removed, and execute nothing", async () => {
    const id = await kube.shell("sleep 3");
    const secretOf = ["-n", one, "get", "secret", `run-${id}-job`];
    const known = await eventually(() => kubectl(...secretOf, "-o", "jsonpath={.metadata.labels}"), PATIENT);
    await kube.ended(id);
    await kube.removed(id, one);
    const metadata = (name: string) => ({
      name,
      namespace: one,
      labels: { ...JSON.parse(known), "tyger-replica": "0" },
      annotations: { "tyger-job-replica-count": "1" },
    });
    const fence = { secretKeyRef: { name: `run-${id}-job`, key: "replica-0" } };
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { ...metadata(`run-${id}-job-0`), finalizers: ["tyger/exit-recorded"] },
      spec: {
        restartPolicy: "Never",
        containers: [
          {
            name: "main",
            image: inject("podImage"),
            imagePullPolicy: "IfNotPresent",
            command: ["bash", "-c", counter.script],
            env: [{ name: "TYGER_RUN_ID", valueFrom: fence }],
          },
        ],
      },
    };
    const secret = { apiVersion: "v1", kind: "Secret", metadata: metadata(`run-${id}-job`), data: {} };
    const file = join(kube.stack.env["HOME"] ?? "", "late.json");
    await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: [secret, pod] }));
    await kubectl("create", "-f", file);
    await kube.removed(id, one);
    expect(counter.begins(id)).toBe(0);
    expect(await kube.show(id)).toMatchObject({ status: "Succeeded" });
  });

  test("another installation cannot use the namespace", async () => {
    await expect(startKubeStack([{ name: "one", namespace: one }])).rejects.toThrow(
      `The namespace '${one}' belongs to the installation '${kube.installation}-one', as its ConfigMap 'tyger-installation' says; this is '`,
    );
    expect(await podsIn(one)).toEqual([]);
  });
}

if (why === "")
  describe("clusters on Kubernetes", () => {
    describeClusters();
  });
