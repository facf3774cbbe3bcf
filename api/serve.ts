import { join } from "node:path";
import type { IncomingMessage, RequestListener, Server } from "node:http";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import type { ApiConfig } from "../config/server.ts";
import { messageOf } from "../model/errors.ts";
import type { ComputeReader } from "../model/ports/compute.ts";
import type { Database } from "../model/ports/database.ts";
import type { PumpKey } from "../model/ports/pump-channel.ts";
import type { LogArchive } from "../model/ports/log.ts";
import type { BufferStores } from "../model/ports/store.ts";
import { readersOf, type Clusters } from "../runs/clusters.ts";
import type { ModeChecks } from "../runs/mode-checks.ts";
import { createBackgroundCalls } from "../temporal/background-calls.ts";
import { openClient, untilAnswer } from "../temporal/connection.ts";
import { readTarget } from "../temporal/target.ts";
import { createRunWorkflows } from "../temporal/run-workflows.ts";
import { createChanges } from "../waiting/changes.ts";
import { createApp } from "./app.ts";
import { type AccessControl, noteRequests, openAccess } from "./auth/access.ts";
import { createDataPlaneAddress, type DataOrigins } from "./data-plane/data-plane-address.ts";
import { createDataPlane } from "./data-plane/data-plane.ts";
import { pumpRoutes } from "./data-plane/pump-routes.ts";
import { loadSigningKeys } from "./data-plane/signing-keys.ts";
import { createSigner, createVerifier } from "./data-plane/signing.ts";
import { createHostCheck, isOwnAddress, ownNamesOf } from "./http/hosts.ts";
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
/** A Temporal that is still away then is a line in the log. */
const TEMPORAL_MS = 30_000;
const CLEAR_TOKENS =
  "the control plane does not use TLS: unless a proxy before it does, others can read the tokens of requests";
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
  const target = await readTarget({
    address: config.TEMPORAL_ADDRESS,
    namespace: config.TEMPORAL_NAMESPACE,
    apiKey: config.TEMPORAL_API_KEY,
    ...config.temporal,
  });
  const temporal = openClient(target);
  const workflows = createBackgroundCalls({
    workflows: createRunWorkflows(temporal, installationId),
    runs,
    log,
  });

  const origins: DataOrigins = { publicUrl: config.dataPlane?.publicUrl };
  const address = createDataPlaneAddress(config.TYGER_DATA_SOCKET, () => origins);
  const bufferService = createBufferService(buffers, store, createSigner(keys, config.TYGER_DATA_SOCKET));
  const ofSocket = new WeakSet<IncomingMessage>();
  const { access, close: closeAccess } = await createAccess(config, log, (req) => ofSocket.has(req));
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
    access,
    log,
  });
  // Its own listener is that of the socket; those of TCP only pass requests on to it.
  noteRequests(control.server, ofSocket);
  const data = createDataPlane({ store, verify: createVerifier(keys), log });
  const pumpChanges = createChanges<PumpKey>((changed) => pumps.listen(changed));
  const pumpService = createPumpService({ records: pumps, changes: pumpChanges, runs, buffers: bufferService });
  void data.register(pumpRoutes(pumpService, address));

  warnOfListeners(config, log);
  const servers = await listenOverTcp(config, { control, data, origins });
  await listenOnSocket(data, config.TYGER_DATA_SOCKET, EVERY_USER);
  await listenOnSocket(control, config.TYGER_API_SOCKET, OWNER_ONLY);
  log.info({ socket: config.TYGER_API_SOCKET, ...origins }, "API is ready");
  const stopping = new AbortController();
  // Runs are accepted meanwhile.
  untilAnswer(temporal, target, { withinMs: TEMPORAL_MS, signal: stopping.signal }).catch((err: unknown) => {
    if (!stopping.signal.aborted) log.warn({ reason: messageOf(err) }, "Temporal cannot be reached: runs wait for it");
  });

  return {
    async stop() {
      stopping.abort();
      pumpService.close();
      await closeAccess();
      const drained = servers.map((server) => drain(server, DRAIN_MS));
      await Promise.all([control.close(), data.close(), ...drained]);
      await Promise.all([changes.close(), pumpChanges.close(), workflows.close()]);
      await temporal.connection.close();
      await db.close();
    },
  };
}

/** Who can use the control plane. Only a server whose requests have tokens loads what reads them. */
async function createAccess(
  { authentication }: ApiConfig,
  log: Logger,
  isLocal: (req: IncomingMessage) => boolean,
): Promise<{ access: AccessControl; close: () => Promise<void> }> {
  if (!needsToken(authentication)) return { access: openAccess(), close: async () => {} };
  const { createTokenAccess } = await import("./auth/token-access.ts");
  return createTokenAccess(authentication, { isLocal, log });
}

type Authentication = ApiConfig["authentication"];

const needsToken = (authentication: Authentication): authentication is Exclude<Authentication, "none" | undefined> =>
  authentication !== undefined && authentication !== "none";

function warnOfListeners({ authentication, controlPlane }: ApiConfig, log: Logger): void {
  if (authentication === "none") log.warn(OPEN_TO_ALL);
  const { listen, tls } = controlPlane ?? {};
  if (needsToken(authentication) && listen !== undefined && !tls && !isOwnAddress(listen)) log.warn(CLEAR_TOKENS);
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
  // The page of a website has no token; without this check, it could use the server.
  const checkHost = needsToken(authentication) ? () => {} : createHostCheck([...ownNamesOf(listen), ...publicNames]);
  const isOpenToAll = authentication !== undefined;
  origins.control = await open(controlPlane, { answer: answerBoth(control, data, checkHost), isOpenToAll });
  return servers;
}
