import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { inject } from "vitest";
import { addressOf } from "../../k8s/client/kube-address.ts";
import { createCaller } from "../../k8s/client/kube-call.ts";
import { connectKube, type Kube } from "../../k8s/client/kube.ts";
import { createNamespaceClaim } from "../../k8s/launch/claim.ts";
import { createKubeWriter } from "../../k8s/launch/writer.ts";
import { createKubeReader } from "../../k8s/log/reader.ts";
import { POD_DEFAULTS, type PodSettings } from "../../k8s/spec/cluster-settings.ts";
import { MAIN } from "../../k8s/spec/main-container.ts";
import { jobSelectorOf } from "../../k8s/spec/names.ts";
import type { Pod } from "../../k8s/spec/wire.ts";
import { podChanges } from "../../k8s/watch/pod-stream.ts";
import { createKubeWatcher } from "../../k8s/watch/watcher.ts";
import { base32 } from "../../model/buffer/buffer.ts";
import type { JobCodespec } from "../../model/codespec/codespec.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { createFakeClaims } from "../fakes/launch-claims.ts";
import { scriptOf, type ComputeUnderTest } from "../ports/compute.ts";
import { runOf } from "./runs.ts";

const run = promisify(execFile);

/** An installation of its own, in a namespace of its own, on the real cluster. */
export interface KubeRig extends ComputeUnderTest {
  kube: Kube;
  settings: PodSettings;
  claims: ReturnType<typeof createFakeClaims>;
  /** A run of a shell script. */
  shell(script: string, more?: Partial<JobCodespec>): RunRecord;
  kubectl(...args: string[]): Promise<string>;
  /** Posts an object to a path of the API. */
  post(path: string, body: object): Promise<void>;
}

export async function openKubeRig(more: Partial<PodSettings> = {}): Promise<KubeRig> {
  const installationId = base32(randomBytes(6));
  const namespace = `tyger-${installationId}`;
  const settings = { ...POD_DEFAULTS, installationId, namespace, ...more };
  const kubeconfig = inject("kubeconfig");
  const kubectl = async (...args: string[]): Promise<string> =>
    (await run("kubectl", ["--kubeconfig", kubeconfig, "--namespace", namespace, ...args])).stdout;
  await kubectl("create", "namespace", namespace);
  const claims = createFakeClaims();
  const kube = connectKube({ kubeconfig }, namespace);
  const claimNamespace = createNamespaceClaim({ kube, installationId, isOwn: false });
  const writer = createKubeWriter({ kube, claims, settings, claimNamespace });

  /** The ids of main containers that were started, by the name of their pod. */
  const begun = new Map<string, Set<string>>();
  const count = ({ metadata, status }: Pod): void => {
    const main = status?.containerStatuses?.find(({ name }) => name === MAIN);
    const startedAt = main?.state?.running?.startedAt ?? main?.state?.terminated?.startedAt;
    if (!startedAt || Date.parse(startedAt) <= 0 || main?.containerID === undefined) return;
    const name = metadata?.name ?? "";
    begun.set(name, (begun.get(name) ?? new Set()).add(main.containerID));
  };
  const closing = new AbortController();
  const selector = jobSelectorOf(installationId);
  const { resourceVersion } = await kube.listPods(selector);
  const counting = (async () => {
    for await (const event of podChanges({ kube, selector, silenceMs: 90_000 }, resourceVersion, closing.signal)) {
      if (event.type !== "bookmark") count(event.pod);
    }
  })().catch(() => undefined);

  const shell = (script: string, codespec: Partial<JobCodespec> = {}): RunRecord =>
    runOf({ image: inject("podImage"), command: ["bash", "-c", script], ...codespec });
  return {
    kube,
    settings,
    claims,
    writer,
    reader: createKubeReader({ kube, settings }),
    watcher: createKubeWatcher({ kube, claims, settings }),
    anotherWriter: () =>
      createKubeWriter({ kube: connectKube({ kubeconfig }, namespace), claims, settings, claimNamespace }),
    shell,
    run: (script) => ({
      ...shell(scriptOf(script), script.isBroken ? { command: ["/no/such/program"] } : {}),
      replicaCount: script.replicas ?? 1,
    }),
    async begins({ id }) {
      for (const pod of (await kube.listPods(jobSelectorOf(installationId, id))).pods) count(pod);
      return [...begun].filter(([name]) => name.startsWith(`run-${id}-`)).reduce((sum, [, ids]) => sum + ids.size, 0);
    },
    differs: { datesAreSeconds: true, startsLater: true, withoutBuffers: "pods have no buffers yet" },
    kubectl,
    async post(path, body) {
      const clock = { hear: () => undefined };
      await createCaller(addressOf({ kubeconfig }), clock).ask({ method: "POST", path, body });
    },
    async close() {
      closing.abort();
      await counting;
      for (const pod of (await kube.listPods(selector)).pods) {
        await kube.deletePod(pod, 0);
        await kube.releasePod(pod);
      }
      await kubectl("delete", "namespace", namespace, "--wait=false");
    },
  };
}
