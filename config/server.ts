import { z } from "zod";
import { type ClusterConfig, clustersOf, type GivenKubernetes, servedOf } from "./clusters.ts";
import { type ConfigFile, readConfigFile } from "./file.ts";
import { locationsOf, type LocationConfigs } from "./locations.ts";
import type { Environment } from "./paths.ts";

/** Variables of both the API and the worker. The supervisor sets them for the local stack; deployments set their own. */
const serverSchema = z.object({
  /** A postgres:// URL. */
  DATABASE_URL: z.url(),
  /** The database itself, where DATABASE_URL is that of a transaction pooler. */
  DATABASE_DIRECT_URL: z.url().optional(),
  TEMPORAL_ADDRESS: z.string().min(1),
  TEMPORAL_NAMESPACE: z.string().default("default"),
  /** For Temporal Cloud; the connection then uses TLS. */
  TEMPORAL_API_KEY: z.string().optional(),
  /** Contains buffers/, logs/, runs/ (for further clusters, `runs-NAME/`), and keys/. */
  TYGER_DATA_DIR: z.string().min(1),
  /** The engine of a cluster whose configuration names none. If empty, /var/run/docker.sock. */
  DOCKER_HOST: z.string().optional(),
  /** `gs://BUCKET/PREFIX local …`: the locations of the local stack, the default first. */
  TYGER_STORES: z.string().optional(),
  /** An emulator of Google Cloud Storage, as Google's own clients read it. */
  STORAGE_EMULATOR_HOST: z.string().optional(),
  /** Path. Jobs are pods of this cluster, unless the configuration file has clusters. */
  TYGER_KUBECONFIG: z.string().optional(),
  TYGER_KUBE_CONTEXT: z.string().optional(),
  TYGER_KUBE_NAMESPACE: z.string().optional(),
  TYGER_PUMP_IMAGE: z.string().optional(),
  /** `host:port` at which pods reach the data plane, where the configuration file has no `dataPlane`. */
  TYGER_POD_LISTEN: z.string().optional(),
  TYGER_LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error"]).default("info"),
});

const apiSchema = serverSchema.extend({
  TYGER_API_SOCKET: z.string().min(1),
  TYGER_DATA_SOCKET: z.string().min(1),
  /** `host:port`, as `controlPlane.listen` in the configuration file. */
  TYGER_LISTEN: z.string().optional(),
  /** Further runs are refused with a 503 before anything is stored. */
  TYGER_MAX_OPEN_RUNS: z.coerce.number().int().positive().default(100_000),
});

const workerSchema = serverSchema.extend({
  /** Slots of a cluster whose configuration has no number. */
  TYGER_MAX_LIVE_RUNS: z.coerce.number().int().positive().optional(),
  /** `a,b`: the clusters that this process serves. By default all. */
  TYGER_WORKER_CLUSTERS: z.string().optional(),
  /** Path of the prebuilt workflow bundle. */
  TYGER_WORKFLOW_BUNDLE: z.string().min(1),
  /** Path of the pump's main file. Beside it is the pump of pods, `pod-pump.js`. */
  TYGER_PUMP_MAIN: z.string().min(1),
  /** The socket of the data plane, where the API is on the same machine. */
  TYGER_DATA_SOCKET: z.string().optional(),
});

export type ApiConfig = Omit<z.infer<typeof apiSchema>, "TYGER_LISTEN"> &
  Omit<ConfigFile, "clusters" | "locations"> & { clusters: ClusterConfig[]; locations: LocationConfigs };
/** As many as two cores and one Docker engine can handle, and as many as the contract has for a cluster. */
const DEFAULT_SLOTS = { docker: 32, kubernetes: 5000 } as const;

export interface WorkerConfig extends Omit<
  z.infer<typeof workerSchema>,
  "TYGER_WORKER_CLUSTERS" | "TYGER_MAX_LIVE_RUNS" | "TYGER_DATA_SOCKET"
> {
  /** Those that this process serves. */
  clusters: (ClusterConfig & { maxLiveRuns: number })[];
  /** Of all clusters of the server. */
  clusterNames: string[];
  temporal?: ConfigFile["temporal"];
  locations: LocationConfigs;
  /** The data plane, as other machines reach it. */
  serverUrl: string | undefined;
  /** The data plane, as pumps on the machine of this process reach it. */
  dataPlaneUrl: string | undefined;
}

/** @throws Error naming each variable, or setting of the configuration file, that is wrong, with the reason. */
export function readApiConfig(env: Environment): ApiConfig {
  const { TYGER_LISTEN: listen, ...variables } = read(apiSchema, env);
  const settings = readConfigFile(env);
  const file = {
    ...settings,
    clusters: clustersOf(settings, variables.DOCKER_HOST, givenIn(variables)),
    locations: locationsOf(settings, variables),
    dataPlane: dataPlaneOf(settings, variables),
  };
  if (listen === undefined) return { ...variables, ...file };
  if (file.controlPlane?.listen !== undefined) {
    throw new Error(
      "Invalid configuration: TYGER_LISTEN and 'controlPlane.listen' of the configuration file are both set",
    );
  }
  return { ...variables, ...file, controlPlane: { ...file.controlPlane, listen } };
}

/** @throws Error naming each variable, or setting of the configuration file, that is wrong, with the reason. */
export function readWorkerConfig(env: Environment): WorkerConfig {
  const { TYGER_WORKER_CLUSTERS: served, TYGER_MAX_LIVE_RUNS: slots, ...given } = read(workerSchema, env);
  const { TYGER_DATA_SOCKET: dataSocket, ...variables } = given;
  const settings = readConfigFile(env);
  const all = clustersOf(settings, variables.DOCKER_HOST, givenIn(variables));
  const clusters = servedOf(all, served).map((cluster) => ({
    ...cluster,
    maxLiveRuns: cluster.maxLiveRuns ?? slots ?? DEFAULT_SLOTS[cluster.kind],
  }));
  const locations = locationsOf(settings, variables);
  const serverUrl = dataPlaneOf(settings, variables)?.publicUrl;
  const dataPlaneUrl = dataSocket === undefined ? serverUrl : `http+unix://${dataSocket}:`;
  if (dataPlaneUrl === undefined && locations.some((location) => "bucket" in location)) {
    throw new Error(
      "Invalid configuration: with a bucket, a worker needs TYGER_DATA_SOCKET, or 'dataPlane.publicUrl' of the configuration file",
    );
  }
  const clusterNames = all.map(({ name }) => name);
  const { temporal } = settings;
  return { ...variables, clusters, clusterNames, locations, serverUrl, dataPlaneUrl, ...(temporal && { temporal }) };
}

function givenIn(variables: z.infer<typeof serverSchema>): GivenKubernetes | undefined {
  const { TYGER_KUBECONFIG: kubeconfig, TYGER_KUBE_CONTEXT: context, TYGER_KUBE_NAMESPACE: namespace } = variables;
  const { TYGER_PUMP_IMAGE: pumpImage } = variables;
  return kubeconfig === undefined ? undefined : { kubeconfig, context, namespace, pumpImage };
}

/** The data plane for pods of the local stack; clients still get the URLs of the socket. */
function dataPlaneOf(
  { dataPlane }: ConfigFile,
  { TYGER_POD_LISTEN: listen }: z.infer<typeof serverSchema>,
): ConfigFile["dataPlane"] {
  if (listen === undefined) return dataPlane;
  if (dataPlane !== undefined) {
    throw new Error("Invalid configuration: TYGER_POD_LISTEN and 'dataPlane' of the configuration file are both set");
  }
  return { listen, publicUrl: `http://${listen}` };
}

function read<S extends z.ZodType>(schema: S, env: Environment): z.infer<S> {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new Error(`Invalid configuration: ${problems.join("; ")}`);
}
