import { join, resolve } from "node:path";
import { cacheDir, stackPaths, type Environment, type StackPaths } from "./paths.ts";

/** The settings of `tyger up`, `down`, and `status` from the environment and the machine. */
export interface StackConfig {
  paths: StackPaths;
  /** For files that can be downloaded again. */
  cacheDir: string;
  /** Where `up` stores the login; undefined if the environment names no folder. */
  loginFile: string | undefined;
  /** A Postgres server that the stack does not manage. */
  databaseUrl: string | undefined;
  /** The same database without the connection pooler that `databaseUrl` leads to. */
  databaseDirectUrl: string | undefined;
  /** `host:port` of a Temporal server that the stack does not manage. */
  temporalAddress: string | undefined;
  temporalNamespace: string | undefined;
  dockerHost: string | undefined;
  /** The user's runtime folder, where a rootless Docker engine has its socket. */
  userRuntimeDir: string | undefined;
  /** As in PATH. */
  path: string;
  uid: number;
  /** Passed to the API and the worker unchanged. */
  inherited: Record<string, string>;
}

/** Used without PATH in the environment: where every Linux has its programs. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The variables that the API and the worker inherit from the environment of `tyger up`; the supervisor sets everything else. */
const INHERITED = [
  "HOME",
  "LANG",
  "TZ",
  "TEMPORAL_API_KEY",
  "TYGER_CONFIG",
  "TYGER_LISTEN",
  "TYGER_LOG_LEVEL",
  "TYGER_MAX_LIVE_RUNS",
  "TYGER_MAX_OPEN_RUNS",
  "NODE_EXTRA_CA_CERTS",
  "STORAGE_EMULATOR_HOST",
  // Google's own variables: a key file, the folder of gcloud's logins, and the address of the metadata server.
  "GOOGLE_APPLICATION_CREDENTIALS",
  "CLOUDSDK_CONFIG",
  "GCE_METADATA_HOST",
] as const;

/** Paths: the servers run in another folder. */
const INHERITED_PATHS: readonly string[] = ["TYGER_CONFIG", "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG"];

/**
 * Reads the configuration of the local stack once, so that no other module reads the environment.
 * @throws Error if the environment names no folder for the stack's data.
 */
export function readStackConfig(env: Environment, uid: number = process.getuid?.() ?? 0): StackConfig {
  const paths = stackPaths(env, uid);
  if (!paths) throw new Error("There is no folder for the stack's data: set TYGER_DATA_DIR or HOME");
  const cache = cacheDir(env);
  return {
    paths,
    cacheDir: cache ?? join(paths.dataDir, "cache"),
    loginFile: env["TYGER_CACHE_FILE"] || (cache && join(cache, ".tyger")),
    databaseUrl: env["DATABASE_URL"] || undefined,
    databaseDirectUrl: env["DATABASE_DIRECT_URL"] || undefined,
    temporalAddress: env["TEMPORAL_ADDRESS"] || undefined,
    temporalNamespace: env["TEMPORAL_NAMESPACE"] || undefined,
    dockerHost: env["DOCKER_HOST"] || undefined,
    userRuntimeDir: env["XDG_RUNTIME_DIR"] || undefined,
    path: env["PATH"] || DEFAULT_PATH,
    uid,
    inherited: Object.fromEntries(
      INHERITED.flatMap((name) => {
        const value = env[name];
        if (!value) return [];
        return [[name, INHERITED_PATHS.includes(name) ? resolve(value) : value]];
      }),
    ),
  };
}
