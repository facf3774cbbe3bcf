import { z } from "zod";
import { SOLE_CLUSTER } from "../model/run/names.ts";

/** In the names of task queues, folders and containers. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/;

const clusterSchema = z.strictObject({
  /** Runs belong to it by this name, which must never change. */
  name: z.string().regex(NAME, "must have lower-case letters, digits and hyphens, at most 40"),
  /** As in DOCKER_HOST, which is the default. */
  dockerHost: z
    .string()
    .regex(/^(?:unix:\/\/\/|(?:tcp|https?):\/\/[^/])/, "must be unix:///PATH or tcp://HOST:PORT")
    .optional(),
  /** Slots: runs that can be admitted at once. The default is TYGER_MAX_LIVE_RUNS. */
  maxLiveRuns: z.number().int().positive().optional(),
});

/** Settings that only a Kubernetes cluster has. */
const OF_KUBERNETES = ["kubeconfig", "context", "inCluster", "namespace", "nodePools", "identities"];

/** The clusters of a server, the default first. All must be of one kind, because runs are checked for that kind. */
export const clustersSchema = z
  .array(z.looseObject({ name: z.unknown() }))
  .min(1, "must have at least one cluster")
  .superRefine((clusters, context) => {
    const refuse = (message: string): void => context.addIssue({ code: "custom", message });
    const isKubernetes = (cluster: object): boolean => OF_KUBERNETES.some((key) => Object.hasOwn(cluster, key));
    const other = clusters.find(isKubernetes);
    const docker = clusters.find((cluster) => !isKubernetes(cluster));
    if (other && docker) {
      const kinds = `'${String(docker.name)}' is a Docker engine, '${String(other.name)}' is a Kubernetes cluster`;
      refuse(`all clusters of a server must be of one kind: ${kinds}`);
    } else if (other) {
      refuse("this version runs on Docker engines only");
    }
  })
  .pipe(z.array(clusterSchema))
  .superRefine((clusters, context) => {
    for (const [at, { name }] of clusters.entries()) {
      if (clusters.slice(0, at).some((before) => before.name === name)) {
        context.addIssue({ code: "custom", message: `two clusters have the name '${name}'` });
      }
    }
  });

type ClusterSettings = z.infer<typeof clusterSchema>;

/** A cluster with its defaults. */
export interface ClusterConfig {
  name: string;
  /** Undefined for the engine at the usual socket. */
  dockerHost: string | undefined;
}

/**
 * The clusters of a server. One whose configuration names none has one.
 * @throws Error when two of them have the same engine: a run must have one place
 */
export function clustersOf(
  { clusters }: { clusters?: readonly ClusterSettings[] | undefined },
  dockerHost: string | undefined,
): (ClusterConfig & Pick<ClusterSettings, "maxLiveRuns">)[] {
  const all = (clusters ?? [{ name: SOLE_CLUSTER }]).map((cluster) => ({ dockerHost, ...cluster }));
  for (const [at, cluster] of all.entries()) {
    const same = all.slice(0, at).find((before) => before.dockerHost === cluster.dockerHost);
    if (!same) continue;
    const engine = cluster.dockerHost === undefined ? "the engine of this machine" : `'${cluster.dockerHost}'`;
    throw new Error(`Invalid configuration: the clusters '${same.name}' and '${cluster.name}' are both ${engine}`);
  }
  return all;
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
