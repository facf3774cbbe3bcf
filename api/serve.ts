import { join } from "node:path";
import type { RequestListener, Server } from "node:http";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import type { ApiConfig } from "../config/server.ts";
import { LOCAL_USER } from "../model/caller.ts";
import type { ComputeReader } from "../model/ports/compute.ts";
import type { Database } from "../model/ports/database.ts";
import type { PumpKey } from "../model/ports/pump-channel.ts";
import type { LogArchive } from "../model/ports/log.ts";
import type { BufferStores } from "../model/ports/store.ts";
import { readersOf, type Clusters } from "../runs/clusters.ts";
import type { ModeChecks } from "../runs/mode-checks.ts";
import { createBackgroundCalls } from "../temporal/background-calls.ts";
import { openClient } from "../temporal/connection.ts";
import { createRunWorkflows } from "../temporal/run-workflows.ts";
import { createChanges } from "../waiting/changes.ts";
import { createApp } from "./app.ts";
import { createDataPlaneAddress, type DataOrigins } from "./data-plane/data-plane-address.ts";
import { createDataPlane } from "./data-plane/data-plane.ts";
import { pumpRoutes } from "./data-plane/pump-routes.ts";
import { loadSigningKeys } from "./data-plane/signing-keys.ts";
import { createSigner, createVerifier } from "./data-plane/signing.ts";
import { createHostCheck, ownNamesOf } from "./http/hosts.ts";
import { listenOnSocket } from "./listen.ts";
import { drain, listenOnTcp, type TcpEndpoint } from "./listen-tcp.ts";
import { answerBoth, answerData } from "./planes.ts";
import { createRunService } from "./runs/run-service.ts";
import { createBufferService } from "./services/buffer-service.ts";
import { createCodespecService } from "./services/codespec-service.ts";
import { createPumpService } from "./services/pump-service.ts";
import { createServerService } from "./services/server-service.ts";

const OWNER_ONLY = 0o600;
/** A signed URL is all that a client needs. */
const EVERY_USER = 0o666;

/** For requests under way at a stop; the process ends soon after. */
const DRAIN_MS = 5000;
const OPEN_TO_ALL = "authentication is off: every program that can connect to the control plane can run containers";

export interface ApiBackends {
  db: Database;
  store: BufferStores;
  archive: Pick<LogArchive, "read">;
  clusters: Clusters<{ name: string; compute: ComputeReader; checkMode: ModeChecks }>;
  /** The words by which clients know the kind of the clusters, and what it can do. */
  capabilities: readonly string[];
  /** Rejects when nothing can be stored. */
  checkStorage: () => Promise<void>;
}

export interface ServedApi {
  /** Cuts open streams, waits for the rest, and closes the backends. */
  stop(): Promise<void>;
}

/** Serves both planes on their sockets, and over TCP where the configuration has an address for it. */
export async function serveApi(config: ApiConfig, log: Logger, backends: ApiBackends): Promise<ServedApi> {
  const { db, store, archive, clusters, capabilities, checkStorage } = backends;
  const compute = readersOf(clusters);
  const { installationId, codespecs, buffers, runs, pumps } = db;
  const keys = await loadSigningKeys(config.signingKeys, join(config.TYGER_DATA_DIR, "keys"));
  const changes = createChanges<number>((changed) => runs.listen(changed));
  const temporal = openClient({
    address: config.TEMPORAL_ADDRESS,
    namespace: config.TEMPORAL_NAMESPACE,
    apiKey: config.TEMPORAL_API_KEY,
  });
  const workflows = createBackgroundCalls({
    workflows: createRunWorkflows(temporal, installationId),
    runs,
    log,
  });

  const origins: DataOrigins = { publicUrl: config.dataPlane?.publicUrl };
  const address = createDataPlaneAddress(config.TYGER_DATA_SOCKET, () => origins);
  const bufferService = createBufferService(buffers, store, createSigner(keys, config.TYGER_DATA_SOCKET));
  const control = createApp({
    codespecs: createCodespecService(codespecs),
    buffers: bufferService,
    runs: createRunService({
      runs,
      codespecs,
      buffers,
      store,
      compute,
      clusters,
      archive,
      changes,
      workflows,
      maxOpenRuns: config.TYGER_MAX_OPEN_RUNS,
    }),
    server: createServerService({
      compute,
      capabilities,
      probes: [() => db.ping(), checkStorage],
      databaseVersion: db.schemaVersion,
    }),
    address,
    callerOf: () => LOCAL_USER,
    log,
  });
  const data = createDataPlane({ store, verify: createVerifier(keys), log });
  const pumpChanges = createChanges<PumpKey>((changed) => pumps.listen(changed));
  const pumpService = createPumpService({ records: pumps, changes: pumpChanges, runs, buffers: bufferService });
  void data.register(pumpRoutes(pumpService, address));

  if (config.authentication === "none") log.warn(OPEN_TO_ALL);
  const servers = await listenOverTcp(config, { control, data, origins });
  await listenOnSocket(data, config.TYGER_DATA_SOCKET, EVERY_USER);
  await listenOnSocket(control, config.TYGER_API_SOCKET, OWNER_ONLY);
  log.info({ socket: config.TYGER_API_SOCKET, ...origins }, "API is ready");

  return {
    async stop() {
      pumpService.close();
      const drained = servers.map((server) => drain(server, DRAIN_MS));
      await Promise.all([control.close(), data.close(), ...drained]);
      await Promise.all([changes.close(), pumpChanges.close(), workflows.close()]);
      await temporal.connection.close();
      await db.close();
    },
  };
}

/** Opens the listeners that are configured, and notes in `origins` where clients reach each. */
async function listenOverTcp(
  { authentication, controlPlane, dataPlane }: ApiConfig,
  { control, data, origins }: { control: FastifyInstance; data: FastifyInstance; origins: DataOrigins },
): Promise<Server[]> {
  await Promise.all([control.ready(), data.ready()]);
  const servers: Server[] = [];
  const open = async (
    { listen, tls }: { [K in keyof TcpEndpoint]?: TcpEndpoint[K] | undefined } = {},
    listener: { answer: RequestListener; isOpenToAll: boolean },
  ): Promise<string | undefined> => {
    if (listen === undefined) return undefined;
    const { origin, server } = await listenOnTcp({ listen, tls }, listener);
    servers.push(server);
    return origin;
  };
  origins.data = await open(dataPlane, { answer: answerData(data), isOpenToAll: true });
  const { listen = "", publicNames = [] } = controlPlane ?? {};
  const checkHost = createHostCheck([...ownNamesOf(listen), ...publicNames]);
  const isOpenToAll = authentication === "none";
  origins.control = await open(controlPlane, { answer: answerBoth(control, data, checkHost), isOpenToAll });
  return servers;
}
