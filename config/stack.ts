import { join } from "node:path";
import { cacheDir, stackPaths, type Environment, type StackPaths } from "./paths.ts";

/** What `tyger up`, `down` and `status` know of their surroundings. */
export interface StackConfig {
  paths: StackPaths;
  /** Downloads that can be had again. */
  cacheDir: string;
  /** Where `up` logs the CLI in; undefined when the environment names no place. */
  loginFile: string | undefined;
  /** A Postgres that somebody else runs. */
  databaseUrl: string | undefined;
  /** A Temporal that somebody else runs, `host:port`. */
  temporalAddress: string | undefined;
  temporalNamespace: string | undefined;
  dockerHost: string | undefined;
  /** The user's own runtime folder, in which a rootless Docker engine has its socket. */
  userRuntimeDir: string | undefined;
  /** Folders of programs, as in PATH. */
  path: string;
  uid: number;
  /** Handed on to API and worker as it is: their own settings, and Temporal's. */
  inherited: Record<string, string>;
}

/** Without a PATH in the environment programs are looked for where every Linux has them. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What API and worker read from the environment of `tyger up`; all else is set by the supervisor. */
const INHERITED = [
  "HOME",
  "LANG",
  "TZ",
  "TEMPORAL_API_KEY",
  "TYGER_LISTEN",
  "TYGER_LOG_LEVEL",
  "TYGER_MAX_LIVE_RUNS",
  "TYGER_MAX_OPEN_RUNS",
  "NODE_EXTRA_CA_CERTS",
] as const;

/**
 * Reads the surroundings of the local stack.
 * @throws Error when the environment names no place for the stack's data.
 */
export function readStackConfig(env: Environment, uid: number = process.getuid?.() ?? 0): StackConfig {
  const paths = stackPaths(env, uid);
  if (!paths) throw new Error("The stack has no place for its data: set TYGER_DATA_DIR or HOME");
  const cache = cacheDir(env);
  return {
    paths,
    cacheDir: cache ?? join(paths.dataDir, "cache"),
    loginFile: env["TYGER_CACHE_FILE"] || (cache && join(cache, ".tyger")),
    databaseUrl: env["DATABASE_URL"] || undefined,
    temporalAddress: env["TEMPORAL_ADDRESS"] || undefined,
    temporalNamespace: env["TEMPORAL_NAMESPACE"] || undefined,
    dockerHost: env["DOCKER_HOST"] || undefined,
    userRuntimeDir: env["XDG_RUNTIME_DIR"] || undefined,
    path: env["PATH"] || DEFAULT_PATH,
    uid,
    inherited: Object.fromEntries(
      INHERITED.flatMap((name) => {
        const value = env[name];
        return value ? [[name, value]] : [];
      }),
    ),
  };
}
