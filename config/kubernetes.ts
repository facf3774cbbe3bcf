import { z } from "zod";

/** As the cluster's own names are. */
const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

const text = z.string().min(1);
const seconds = z.number().int().positive();

const tolerationSchema = z.strictObject({
  key: text.exactOptional(),
  operator: z.enum(["Equal", "Exists"]).exactOptional(),
  value: z.string().exactOptional(),
  effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]).exactOptional(),
  tolerationSeconds: z.number().int().exactOptional(),
});

const nodePoolSchema = z.strictObject({
  /** Runs name it in any case. */
  name: text,
  nodeSelector: z
    .record(z.string(), z.string())
    .refine((labels) => Object.keys(labels).length > 0, "must have a label, which the nodes of the pool have"),
  tolerations: z.array(tolerationSchema).default([]),
  /** Its nodes have GPUs. */
  gpu: z.boolean().default(false),
});

/** Waits after which something that may pass counts as an end. The defaults are those of k8s/. */
const durationsSchema = z.strictObject({
  /** How long the image of a job can be failing to be pulled. */
  userImageSeconds: seconds.optional(),
  /** The same for an image that users do not choose. */
  systemImageSeconds: seconds.optional(),
  /** How long a node can be unreachable before the cluster deletes its pods. */
  unreachableNodeSeconds: seconds.optional(),
  /** How long a pod can outlive its deletion before its node counts as lost. */
  lostPodSeconds: seconds.optional(),
  /** All pods are listed this often, whatever the watch says. */
  relistSeconds: seconds.optional(),
});

/** `path` reads the path of a file. */
export const kubernetesFields = (path: z.ZodType<string>) => ({
  kubeconfig: path.optional(),
  /** Without one, the current one of the kubeconfig. */
  context: text.optional(),
  /** The server is a pod of this cluster, and has its service account. */
  inCluster: z.literal(true).optional(),
  /** It must exist; without one, `tyger-<installation>`, which is created. No other installation can have it. */
  namespace: z.string().regex(DNS_LABEL, "must be the name of a namespace").optional(),
  nodePools: z.array(nodePoolSchema).optional(),
  /** The service account of each name that a codespec can have as its identity. */
  identities: z.record(text, z.string().regex(DNS_LABEL, "must be the name of a service account")).optional(),
  /** Names of Secrets in the namespace. */
  imagePullSecrets: z.array(text).optional(),
  imagePullPolicy: z.enum(["Always", "IfNotPresent", "Never"]).optional(),
  durations: durationsSchema.optional(),
  /** Of the containers that move the data of jobs: any image with Node 22.19 or newer and `mkfifo`. */
  pumpImage: text.optional(),
});

/** Settings that only a Kubernetes cluster has: one of them makes a cluster one. */
export const OF_KUBERNETES: readonly string[] = Object.keys(kubernetesFields(z.string()));

interface Stated {
  kubeconfig?: string | undefined;
  context?: string | undefined;
  inCluster?: true | undefined;
  nodePools?: readonly { name: string }[] | undefined;
}

/** Why the settings of a cluster do not fit together; undefined when they do. */
export function contradictionIn({ kubeconfig, context, inCluster, nodePools = [] }: Stated): string | undefined {
  if (kubeconfig !== undefined && inCluster) return "kubeconfig and inCluster are both set";
  if (kubeconfig === undefined && !inCluster) return "needs a kubeconfig, or inCluster: true";
  if (context !== undefined && inCluster) return "context needs a kubeconfig";
  const names = nodePools.map(({ name }) => name.toLowerCase());
  const double = names.find((name, at) => names.indexOf(name) < at);
  return double === undefined ? undefined : `two node pools have the name '${double}'`;
}
