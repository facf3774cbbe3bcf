import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "../client/client.ts";
import { postgresSpec } from "./postgres/postgres.ts";
import type { ProcessSpec } from "./supervisor/process-spec.ts";
import type { StackSettings } from "./supervisor/settings.ts";
import { temporalAddressOf, temporalSpec } from "./temporal/temporal.ts";

/**
 * SIGUSR1 must not open a debugger. A small young generation, because streams make little but large garbage, which
 * otherwise piles up.
 */
const NODE_FLAGS = ["--disable-sigusr1", "--max-semi-space-size=1"];
/**
 * V8 lets a heap that may become large grow to four times what is used in it before it collects; with this limit, to less than
 * twice. Ten times what 5,000 runs take.
 */
export const WORKER_FLAGS = [...NODE_FLAGS, "--max-old-space-size=1024"];
const ANSWER_MS = 2000;

export const logFileOf = (stateDir: string, name: string): string => join(stateDir, `${name}.log`);

/** In the order of their start: the processes of one list start together. */
export function processesOf(settings: StackSettings): [services: ProcessSpec[], servers: ProcessSpec[]] {
  const { postgres, temporal, paths } = settings;
  const services: ProcessSpec[] = [];
  if (postgres.kind === "embedded") services.push(postgresSpec(postgres, logFileOf(paths.stateDir, "postgres")));
  if (temporal.kind === "dev") {
    const env = { PATH: settings.path, ...settings.inherited };
    services.push(temporalSpec(temporal, logFileOf(paths.stateDir, "temporal"), env));
  }
  return [services, [apiSpec(settings), workerSpec(settings)]];
}

function apiSpec(settings: StackSettings): ProcessSpec {
  const { apiSocket } = settings.paths;
  return { ...nodeSpec(settings, "api", NODE_FLAGS), isReady: () => isHealthy(apiSocket) };
}

function workerSpec(settings: StackSettings): ProcessSpec {
  const readyFile = join(settings.paths.stateDir, "worker.ready");
  return {
    ...nodeSpec(settings, "worker", WORKER_FLAGS),
    prepare: () => rm(readyFile, { force: true }),
    isReady: async (pid) => (await readFile(readyFile, "utf8")).trim() === String(pid),
  };
}

function nodeSpec(settings: StackSettings, name: string, flags: readonly string[]): Omit<ProcessSpec, "isReady"> {
  const { paths, dist, node } = settings;
  return {
    name,
    command: node,
    args: [...flags, "--enable-source-maps", join(dist, `${name}.js`)],
    env: serverEnvironment(settings),
    cwd: paths.dataDir,
    logFile: logFileOf(paths.stateDir, name),
    stopSignal: "SIGTERM",
    graceMs: 12_000,
  };
}

/** Must match config/server.ts, which reads it. */
function serverEnvironment(settings: StackSettings): Record<string, string> {
  const { postgres, temporal, paths, dist } = settings;
  const given = temporal.kind === "given";
  return {
    ...settings.inherited,
    PATH: settings.path,
    DATABASE_URL: postgres.url,
    ...(postgres.kind === "given" && postgres.directUrl !== undefined && { DATABASE_DIRECT_URL: postgres.directUrl }),
    TEMPORAL_ADDRESS: given ? temporal.address : temporalAddressOf(temporal),
    TEMPORAL_NAMESPACE: given ? temporal.namespace : temporal.config.namespace,
    TYGER_DATA_DIR: paths.dataDir,
    TYGER_API_SOCKET: paths.apiSocket,
    TYGER_DATA_SOCKET: paths.dataSocket,
    DOCKER_HOST: settings.dockerHost,
    // Caches the packages' compiled code, which saves a third of the startup time.
    NODE_COMPILE_CACHE: join(paths.stateDir, "compile-cache"),
    TYGER_WORKFLOW_BUNDLE: join(dist, "workflows.js"),
    TYGER_PUMP_MAIN: join(dist, "pump.js"),
  };
}

function isHealthy(socketPath: string): Promise<boolean> {
  const client = createClient({ kind: "unix", socketPath }, { retry: false });
  return client.isHealthy({ signal: AbortSignal.timeout(ANSWER_MS) }).catch(() => false);
}
