import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { inject } from "vitest";
import { addressOf } from "../../k8s/client/kube-address.ts";
import { createCaller } from "../../k8s/client/kube-call.ts";
import { connectKube, type Kube } from "../../k8s/client/kube.ts";
import { createNamespaceClaim } from "../../k8s/launch/claim.ts";
import { programOf, type PumpProgram } from "../../k8s/launch/program.ts";
import { createKubeWriter } from "../../k8s/launch/writer.ts";
import { createLogCollector } from "../../k8s/log/log-collector.ts";
import type { LogPace } from "../../k8s/log/log-plan.ts";
import { createKubeReader } from "../../k8s/log/reader.ts";
import { POD_DEFAULTS, type PodSettings } from "../../k8s/spec/cluster-settings.ts";
import { MAIN } from "../../k8s/spec/main-container.ts";
import { jobSelectorOf } from "../../k8s/spec/names.ts";
import type { Pod } from "../../k8s/spec/wire.ts";
import { podChanges } from "../../k8s/watch/pod-stream.ts";
import { createKubeWatcher } from "../../k8s/watch/watcher.ts";
import { base32 } from "../../model/buffer/buffer.ts";
import type { JobCodespec } from "../../model/codespec/codespec.ts";
import type { LaunchClaims } from "../../model/ports/compute.ts";
import type { ApiPumps } from "../../model/ports/pump-channel.ts";
import type { RunRecord } from "../../model/run/run.ts";
import type { LogParts } from "../../model/ports/log-parts.ts";
import { bundlePodPump } from "../../pump/pod-bundle.ts";
import { createFakeClaims } from "../fakes/launch-claims.ts";
import { logPartsInMemory } from "../fakes/log-parts.ts";
import { scriptOf, type ComputeUnderTest } from "../ports/compute.ts";
import { startPodServer, type PodServer } from "./pod-server.ts";
import { runOf } from "./runs.ts";

const run = promisify(execFile);
const SILENT = { warn: () => {}, info: () => {} };

/** An installation of its own, in a namespace of its own, on the real cluster. */
export interface KubeRig extends ComputeUnderTest {
  kube: Kube;
  server: PodServer;
  program: PumpProgram;
  /** The options that a writer, a watcher and a reader share. */
  ports: {
    kube: Kube;
    claims: LaunchClaims;
    settings: PodSettings;
    pumps: ApiPumps;
    program: PumpProgram;
    parts: LogParts;
    claimNamespace: () => Promise<void>;
    log: typeof SILENT;
  };
  settings: PodSettings;
  claims: ReturnType<typeof createFakeClaims>;
  /** The logs of running jobs, as the watcher stores them. */
  parts: LogParts;
  /** A run of a shell script. */
  shell(script: string, more?: Partial<JobCodespec>): RunRecord;
  kubectl(...args: string[]): Promise<string>;
  /** Posts an object to a path of the API. */
  post(path: string, body: object): Promise<void>;
}

export async function openKubeRig(more: Partial<PodSettings> = {}, pace?: Partial<LogPace>): Promise<KubeRig> {
  const parts = logPartsInMemory();
  const installationId = base32(randomBytes(6));
  const namespace = `tyger-${installationId}`;
  const server = await startPodServer(inject("podHost"));
  const pump = { image: inject("pumpImage"), serverUrl: server.url };
  const settings = { ...POD_DEFAULTS, installationId, namespace, pump, ...more };
  const kubeconfig = inject("kubeconfig");
  const kubectl = async (...args: string[]): Promise<string> =>
    (await run("kubectl", ["--kubeconfig", kubeconfig, "--namespace", namespace, ...args])).stdout;
  await kubectl("create", "namespace", namespace);
  await kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=baseline");
  const claims = createFakeClaims();
  const kube = connectKube({ kubeconfig }, namespace);
  const program = programOf(await bundlePodPump());
  const claimNamespace = createNamespaceClaim({ kube, installationId, isOwn: false });
  const ports = { kube, claims, settings, pumps: server.pumps, program, parts, claimNamespace, log: SILENT };
  const writer = createKubeWriter(ports);

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

  const shell = (script: string, codespec: Partial<JobCodespec> = {}): RunRecord => {
    const made = runOf({ image: inject("podImage"), command: ["bash", "-c", script], ...codespec });
    server.add(made);
    return made;
  };
  return {
    kube,
    server,
    program,
    ports,
    settings,
    claims,
    parts,
    writer,
    reader: createKubeReader({ kube, settings, parts }),
    watcher: createKubeWatcher({
      ...ports,
      collector: createLogCollector({ kube, parts, log: SILENT, ...(pace ? { pace } : {}) }),
    }),
    anotherWriter: () => createKubeWriter({ ...ports, kube: connectKube({ kubeconfig }, namespace) }),
    shell,
    run: (script) => ({
      ...shell(scriptOf(script), {
        ...(script.isBroken ? { command: ["/no/such/program"] } : {}),
        ...(script.hasBuffers ? { buffers: { inputs: ["in"], outputs: ["out"] } } : {}),
      }),
      replicaCount: script.replicas ?? 1,
    }),
    async begins({ id }) {
      for (const pod of (await kube.listPods(jobSelectorOf(installationId, id))).pods) count(pod);
      return [...begun].filter(([name]) => name.startsWith(`run-${id}-`)).reduce((sum, [, ids]) => sum + ids.size, 0);
    },
    differs: { datesAreSeconds: true, startsLater: true },
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
      await server.close();
    },
  };
}
