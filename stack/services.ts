import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readConfigFile } from "../config/file.ts";
import type { StackConfig } from "../config/stack.ts";
import { writeWhole } from "../disk/write-whole.ts";
import { copyPostgres } from "./postgres/postgres-binaries.ts";
import { settlePostgres } from "./postgres/postgres-folder.ts";
import { createPostgres, POSTGRES_HOST } from "./postgres/postgres.ts";
import { choosePort } from "./host/ports.ts";
import type { Report } from "./host/progress.ts";
import { mustReach, postgresAddressOf, parseTemporalAddress } from "./host/reach.ts";
import { mustHaveRoom } from "./host/room.ts";
import type { StackSettings } from "./supervisor/settings.ts";
import { findTemporal } from "./temporal/temporal-binary.ts";
import { readTemporalConfig } from "./temporal/temporal-config.ts";
import { temporalProblem } from "./temporal/temporal-health.ts";

const portsSchema = z.partialRecord(z.enum(["postgres", "temporal", "temporalUi", "pods"]), z.number());
type Ports = z.infer<typeof portsSchema>;

/**
 * Returns the server of DATABASE_URL, or else an embedded one, which is created unless it exists.
 * @throws Error naming the problem of the server of DATABASE_URL
 */
export async function settleDatabase(config: StackConfig, report: Report): Promise<StackSettings["postgres"]> {
  if (config.databaseUrl) {
    const { databaseUrl: url, databaseDirectUrl: directUrl } = config;
    const address = await tryDatabase("DATABASE_URL", url);
    if (directUrl !== undefined) await tryDatabase("DATABASE_DIRECT_URL", directUrl);
    return { kind: "given", url, ...(directUrl !== undefined && { directUrl }), address };
  }
  if (config.databaseDirectUrl) {
    throw new Error("DATABASE_DIRECT_URL is set, but DATABASE_URL, the URL of the connection pooler, is not");
  }
  const { dataDir, stateDir } = config.paths;
  const folder = settlePostgres(dataDir, config.cacheDir, config.uid);
  await mustHaveRoom(folder.root);
  const binaries = await copyPostgres(folder.binaries);
  const created = await createPostgres(folder, binaries, () => report("creating the database"));
  const previous = readPorts(stateDir).postgres;
  const port = await choosePort("Postgres", { wanted: 0, previous, host: POSTGRES_HOST });
  writePorts(stateDir, { postgres: port });
  const { user } = folder;
  return { kind: "embedded", url: created.url(port), binaries, dataDir: created.dataDir, port, ...(user && { user }) };
}

/** Returns the address of a given server. @throws Error naming its problem */
async function tryDatabase(variable: string, url: string): Promise<string> {
  const { host, port } = postgresAddressOf(url, variable);
  await mustReach("Postgres", variable, host, port);
  // The driver is loaded only if it is needed.
  const { databaseProblem } = await import("./postgres/postgres-trial.ts");
  const problem = await databaseProblem(url, variable);
  if (problem) throw new Error(`The Postgres of ${variable} at '${host}:${port}' ${problem}`);
  return `${host}:${port}`;
}

/**
 * Returns the server of TEMPORAL_ADDRESS, or else the dev server configured in `configFile`.
 * @throws Error naming the problem of the given server, a configured port in use, or why the dev server cannot be installed
 */
export async function settleTemporal(
  config: StackConfig,
  configFile: string,
  report: Report,
): Promise<StackSettings["temporal"]> {
  const namespace = config.temporalNamespace;
  if (config.temporalAddress) return givenTemporal(config.temporalAddress, namespace ?? "default", config);
  const file = readTemporalConfig(configFile);
  const dev = namespace ? { ...file, namespace } : file;
  const { dataDir, stateDir } = config.paths;
  const binary = await findTemporal({ path: config.path, cacheDir: config.cacheDir, uid: config.uid, report });
  const previous = readPorts(stateDir);
  const host = dev.ip;
  const port = await choosePort("Temporal", { wanted: dev.port, previous: previous.temporal, host });
  const ui = { wanted: dev.uiPort, previous: previous.temporalUi, host };
  const uiPort = await choosePort("Temporal's Web UI", ui);
  writePorts(stateDir, { temporal: port, temporalUi: uiPort });
  const folder = join(dataDir, "temporal");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return { kind: "dev", binary, config: dev, port, uiPort, folder };
}

async function givenTemporal(
  address: string,
  namespace: string,
  { inherited }: StackConfig,
): Promise<StackSettings["temporal"]> {
  const { host, port } = parseTemporalAddress(address);
  await mustReach("Temporal", "TEMPORAL_ADDRESS", host, port);
  // Over TLS only the servers can ask: each reports in one sentence why it cannot use Temporal.
  const usesTls = Boolean(inherited["TEMPORAL_API_KEY"]) || readConfigFile(inherited).temporal !== undefined;
  const problem = usesTls ? undefined : await temporalProblem(address, namespace);
  if (problem) throw new Error(`The Temporal of TEMPORAL_ADDRESS at '${address}' ${problem}`);
  return { kind: "given", address, namespace };
}

/**
 * A free port, and the one at which pods reach the data plane: they know it, so it stays while processes of the stack have it.
 */
export async function settlePodPort(stateDir: string, isRunning: boolean): Promise<{ free: number; port: number }> {
  const previous = readPorts(stateDir).pods;
  const free = await choosePort("the data plane for pods", { wanted: 0, previous, host: "0.0.0.0" });
  const port = isRunning && previous !== undefined ? previous : free;
  writePorts(stateDir, { pods: port });
  return { free, port };
}

const portsFile = (stateDir: string): string => join(stateDir, "ports.json");

/** The ports of the last start, because an address that stays the same can be bookmarked. */
function readPorts(stateDir: string): Ports {
  try {
    return portsSchema.parse(JSON.parse(readFileSync(portsFile(stateDir), "utf8")));
  } catch {
    // No file yet, or not readable: any free port will do.
    return {};
  }
}

function writePorts(stateDir: string, ports: Ports): void {
  writeWhole(portsFile(stateDir), JSON.stringify({ ...readPorts(stateDir), ...ports }));
}
