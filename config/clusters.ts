import { z } from "zod";
import { SOLE_CLUSTER } from "../model/run/names.ts";
import { contradictionIn, kubernetesFields, OF_KUBERNETES } from "./kubernetes.ts";

/** In the names of task queues, folders and containers. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/;

const fields = {
  /** Runs belong to it by this name, which must never change. */
  name: z.string().regex(NAME, "must have lower-case letters, digits and hyphens, at most 40"),
  /** Slots: runs that can be admitted at once. The default is TYGER_MAX_LIVE_RUNS. */
  maxLiveRuns: z.number().int().positive().optional(),
};

const dockerSchema = z.strictObject({
  ...fields,
  kind: z.literal("docker"),
  /** As in DOCKER_HOST, which is the default. */
  dockerHost: z
    .string()
    .regex(/^(?:unix:\/\/\/|(?:tcp|https?):\/\/[^/])/, "must be unix:///PATH or tcp://HOST:PORT")
    .optional(),
});

const kubernetesSchema = (path: z.ZodType<string>) =>
  z
    .strictObject({ ...fields, kind: z.literal("kubernetes"), ...kubernetesFields(path) })
    .superRefine((cluster, context) => {
      const message = contradictionIn(cluster);
      if (message !== undefined) context.addIssue({ code: "custom", message });
    });

type KubernetesSettings = z.infer<ReturnType<typeof kubernetesSchema>>;
type ClusterSettings = z.infer<typeof dockerSchema> | KubernetesSettings;

/** The kind of a cluster follows from its settings. */
function withKind(cluster: unknown): unknown {
  if (typeof cluster !== "object" || cluster === null) return cluster;
  const isKubernetes = OF_KUBERNETES.some((key) => Object.hasOwn(cluster, key));
  return { kind: isKubernetes ? "kubernetes" : "docker", ...cluster };
}

/**
 * The clusters of a server, the default first. All must be of one kind, because runs are checked for that kind. `path` reads
 * the path of a file.
 */
export const clustersSchema = (path: z.ZodType<string>) =>
  z
    .array(z.preprocess(withKind, z.discriminatedUnion("kind", [dockerSchema, kubernetesSchema(path)])))
    .min(1, "must have at least one cluster")
    .superRefine((clusters, context) => {
      const refuse = (message: string): void => context.addIssue({ code: "custom", message });
      const docker = clusters.find(({ kind }) => kind === "docker");
      const other = clusters.find(({ kind }) => kind === "kubernetes");
      if (docker && other) {
        const kinds = `'${docker.name}' is a Docker engine, '${other.name}' is a Kubernetes cluster`;
        refuse(`all clusters of a server must be of one kind: ${kinds}`);
      }
      for (const [at, { name }] of clusters.entries()) {
        if (clusters.slice(0, at).some((before) => before.name === name)) {
          refuse(`two clusters have the name '${name}'`);
        }
      }
    });

/** A cluster with its defaults, except those of its own kind. */
export type ClusterConfig = DockerCluster | KubernetesCluster;

export interface DockerCluster {
  kind: "docker";
  name: string;
  /** Undefined for the engine at the usual socket. */
  dockerHost: string | undefined;
  maxLiveRuns: number | undefined;
}

export interface KubernetesCluster extends Omit<KubernetesSettings, "kubeconfig" | "context" | "inCluster"> {
  access: { inCluster: true } | { kubeconfig: string; context: string | undefined };
  maxLiveRuns: number | undefined;
}

/** The one cluster of a server that has it from variables, and not from a file; `tyger up --kubeconfig` sets them. */
export interface GivenKubernetes {
  kubeconfig: string;
  context?: string | undefined;
  namespace?: string | undefined;
  pumpImage?: string | undefined;
}

/** Its runs have this name in their rows. */
export const GIVEN_CLUSTER = "kubernetes";

/**
 * The clusters of a server. One whose configuration names none has one.
 * @throws Error when two of them are the same: a run must be in one place
 */
export function clustersOf(
  { clusters }: { clusters?: readonly ClusterSettings[] | undefined },
  dockerHost: string | undefined,
  given?: GivenKubernetes,
): ClusterConfig[] {
  if (given && clusters) {
    throw new Error("Invalid configuration: a kubeconfig is given, and the configuration file has 'clusters'");
  }
  const sole: ClusterSettings = given
    ? { kind: "kubernetes", name: GIVEN_CLUSTER, ...given }
    : { kind: "docker", name: SOLE_CLUSTER };
  const stated: readonly ClusterSettings[] = clusters ?? [sole];
  const all = stated.map((cluster): ClusterConfig =>
    cluster.kind === "docker" ? { dockerHost, maxLiveRuns: undefined, ...cluster } : kubernetesOf(cluster),
  );
  for (const [at, cluster] of all.entries()) {
    const same = all.slice(0, at).find((before) => placeOf(before) === placeOf(cluster));
    if (same) {
      const both = `the clusters '${same.name}' and '${cluster.name}' are both ${placeOf(cluster)}`;
      throw new Error(`Invalid configuration: ${both}`);
    }
  }
  return all;
}

function kubernetesOf({
  kubeconfig,
  context,
  inCluster: _inCluster,
  ...cluster
}: KubernetesSettings): KubernetesCluster {
  const access = kubeconfig === undefined ? ({ inCluster: true } as const) : { kubeconfig, context };
  return { maxLiveRuns: undefined, ...cluster, access };
}

/** Where the runs of a cluster are. */
function placeOf(cluster: ClusterConfig): string {
  if (cluster.kind === "docker") {
    return cluster.dockerHost === undefined ? "the engine of this machine" : `'${cluster.dockerHost}'`;
  }
  const { access, namespace } = cluster;
  const where = namespace === undefined ? "the namespace of the installation" : `the namespace '${namespace}'`;
  return `${where} in the cluster of ${accessWords(access)}`;
}

/** The way to a cluster as a user reads it. */
export function accessWords(access: KubernetesCluster["access"]): string {
  if ("inCluster" in access) return "this pod";
  const { kubeconfig, context } = access;
  return `'${kubeconfig}'${context === undefined ? "" : `, context '${context}'`}`;
}

/**
 * Those that a worker serves: the named ones, or all.
 * @param names as in TYGER_WORKER_CLUSTERS: `a,b`
 * @throws Error for a name that is not in the configuration
 */
export function servedOf<C extends { name: string }>(clusters: readonly C[], names: string | undefined): C[] {
  if (names === undefined) return [...clusters];
  return names.split(",").map((given) => {
    const name = given.trim();
    const found = clusters.find((cluster) => cluster.name === name);
    if (found) return found;
    throw new Error(`Invalid configuration: TYGER_WORKER_CLUSTERS: the configuration has no cluster '${name}'`);
  });
}
