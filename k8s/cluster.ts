import type { JobCodespec } from "../model/codespec/codespec.ts";
import type { ComputeReader, ComputeWatcher, ComputeWriter, LaunchClaims } from "../model/ports/compute.ts";
import type { LogParts } from "../model/ports/log-parts.ts";
import type { ApiPumps } from "../model/ports/pump-channel.ts";
import type { RunRequest } from "../model/run/run.ts";
import { connectKube } from "./client/kube.ts";
import type { ClusterAccess } from "./client/kube-address.ts";
import { createNamespaceClaim } from "./launch/claim.ts";
import { programOf } from "./launch/program.ts";
import { createKubeWriter } from "./launch/writer.ts";
import { createLogCollector, type LogCollectorOptions } from "./log/log-collector.ts";
import { createKubeReader } from "./log/reader.ts";
import { PATIENCE, POD_DEFAULTS, type NodePool, type PodSettings } from "./spec/cluster-settings.ts";
import { checkJob } from "./spec/job-checks.ts";
import { createKubeWatcher } from "./watch/watcher.ts";

/** A cluster as a configuration states it. */
export interface KubeClusterOptions {
  access: ClusterAccess;
  /** It must exist; without one, it is named after the installation, and created. */
  namespace?: string | undefined;
  nodePools?: readonly (Omit<NodePool, "hasGpu"> & { gpu: boolean })[] | undefined;
  identities?: PodSettings["identities"] | undefined;
  imagePullSecrets?: readonly string[] | undefined;
  imagePullPolicy?: PodSettings["imagePullPolicy"] | undefined;
  durations?: KubeDurations | undefined;
  /** Of the pumps: any image with Node and `mkfifo`. */
  pumpImage?: string | undefined;
  /** The data plane, as pods reach it. Without it, jobs cannot have buffers. */
  serverUrl?: string | undefined;
}

/** Waits after which something that may pass counts as an end. */
export interface KubeDurations {
  userImageSeconds?: number | undefined;
  systemImageSeconds?: number | undefined;
  unreachableNodeSeconds?: number | undefined;
  lostPodSeconds?: number | undefined;
  relistSeconds?: number | undefined;
}

/** The installation that uses a cluster. */
export interface KubeScope {
  installationId: string;
  /** As labels name it: two clusters that are the same by mistake do each other no harm. */
  scope: string;
}

/** A cluster as our processes use it. */
export interface KubeCluster {
  reader: ComputeReader;
  /** @throws CodedError InvalidInput */
  checkJob: (request: RunRequest, codespec: JobCodespec) => void;
  /** The half that workers use. */
  work: (ports: KubeWorkPorts) => { writer: ComputeWriter; watcher: ComputeWatcher };
}

export interface KubeWorkPorts {
  claims: LaunchClaims;
  pumps: ApiPumps;
  /** The program of pumps in pods. */
  pumpText: string;
  log: LogCollectorOptions["log"];
}

/** Connects to nothing yet. `parts` has the logs of jobs that run. @throws Error in one sentence when the kubeconfig cannot be used */
export function openKubeCluster(
  options: KubeClusterOptions,
  { installationId, scope }: KubeScope,
  parts: LogParts,
): KubeCluster {
  const settings = settingsOf(options, { installationId, scope });
  const kube = connectKube(options.access, settings.namespace);
  const { relistSeconds } = options.durations ?? {};
  const times = relistSeconds === undefined ? {} : { relistMs: relistSeconds * 1000 };
  const isOwn = options.namespace === undefined;
  return {
    reader: createKubeReader({ kube, settings, parts }),
    checkJob: (request, codespec) => checkJob(request, codespec, settings),
    work: ({ claims, pumps, pumpText, log }) => ({
      writer: createKubeWriter({
        kube,
        claims,
        settings,
        pumps,
        program: programOf(pumpText),
        parts,
        log,
        claimNamespace: createNamespaceClaim({ kube, installationId: scope, isOwn }),
      }),
      watcher: createKubeWatcher({
        kube,
        claims,
        settings,
        pumps,
        log,
        times,
        collector: createLogCollector({ kube, parts, log }),
      }),
    }),
  };
}

/** The settings with their defaults. */
export function settingsOf(options: KubeClusterOptions, { installationId, scope }: KubeScope): PodSettings {
  const { namespace = `tyger-${installationId}`, durations = {} } = options;
  const inMs = (seconds: number | undefined, otherwiseMs: number): number =>
    seconds === undefined ? otherwiseMs : seconds * 1000;
  return {
    installationId: scope,
    namespace,
    nodePools: options.nodePools?.map(({ gpu, ...pool }) => ({ ...pool, hasGpu: gpu })) ?? POD_DEFAULTS.nodePools,
    identities: options.identities ?? POD_DEFAULTS.identities,
    imagePullSecrets: options.imagePullSecrets ?? POD_DEFAULTS.imagePullSecrets,
    imagePullPolicy: options.imagePullPolicy ?? POD_DEFAULTS.imagePullPolicy,
    patience: {
      userImageMs: inMs(durations.userImageSeconds, PATIENCE.userImageMs),
      systemImageMs: inMs(durations.systemImageSeconds, PATIENCE.systemImageMs),
      unreachableSeconds: durations.unreachableNodeSeconds ?? PATIENCE.unreachableSeconds,
      lostMs: inMs(durations.lostPodSeconds, PATIENCE.lostMs),
    },
    pump: { image: options.pumpImage ?? POD_DEFAULTS.pump.image, serverUrl: options.serverUrl },
  };
}
