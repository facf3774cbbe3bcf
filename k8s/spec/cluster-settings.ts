import type { Toleration } from "./wire.ts";

/** Nodes on which jobs can run, by their labels and taints. */
export interface NodePool {
  name: string;
  nodeSelector: Readonly<Record<string, string>>;
  tolerations?: readonly Toleration[];
  /** Its nodes have GPUs; jobs that need none are not put there unless they name the pool. */
  hasGpu?: boolean;
}

/** Durations after which something that may pass counts as an end. */
export interface Patience {
  /** How long the image of a job can be failing to be pulled. */
  userImageMs: number;
  /** As `userImageMs`, for images that users do not choose. */
  systemImageMs: number;
  /** How long a node can be unreachable before its pods are deleted, in seconds because the cluster counts it. */
  unreachableSeconds: number;
  /** How long a pod can outlive its deletion and its grace period before its node counts as lost. */
  lostMs: number;
}

export const PATIENCE: Patience = {
  userImageMs: 60_000,
  systemImageMs: 30 * 60_000,
  unreachableSeconds: 300,
  lostMs: 60_000,
};

/** How the jobs of a cluster get their buffers. */
export interface PumpSettings {
  /** Any image with Node 22.19 or newer and `mkfifo`. */
  image: string;
  /** The data plane of the server, as pods reach it. Without it, jobs cannot have buffers. */
  serverUrl: string | undefined;
  /** The ConfigMap with the program of pumps; known where pods are created. */
  program?: string;
}

/** How the pods of a cluster are made. */
export interface PodSettings {
  /** As the cluster's objects are labeled. */
  installationId: string;
  namespace: string;
  /** Without any, jobs run on every node that lets them. */
  nodePools: readonly NodePool[];
  /** The service account of each identity that a codespec can name. */
  identities: Readonly<Record<string, string>>;
  imagePullSecrets: readonly string[];
  imagePullPolicy: "Always" | "IfNotPresent" | "Never";
  patience: Patience;
  pump: PumpSettings;
}

export const POD_DEFAULTS: Omit<PodSettings, "installationId" | "namespace"> = {
  nodePools: [],
  identities: {},
  imagePullSecrets: [],
  imagePullPolicy: "IfNotPresent",
  patience: PATIENCE,
  pump: { image: "node:24-slim", serverUrl: undefined },
};
