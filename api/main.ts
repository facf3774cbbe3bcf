import { constants } from "node:fs";
import { access, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createFilesystemStore } from "../buffers/filesystem/filesystem-store.ts";
import { createLog } from "../config/log.ts";
import { readApiConfig } from "../config/server.ts";
import { openDatabase } from "../db/database.ts";
import { createDockerReader } from "../docker/log/reader.ts";
import { createLogArchive } from "../logs/archive.ts";
import { messageOf } from "../model/errors.ts";
import { createApp } from "./app.ts";
import { createBufferService } from "./services/buffer-service.ts";
import { createCodespecService } from "./services/codespec-service.ts";
import { createDataPlanePlace } from "./data-plane/data-plane-place.ts";
import { createDataPlane } from "./data-plane/data-plane.ts";
import { listenOnSocket, listenOnTcp } from "./listen.ts";
import { createRunChanges } from "./runs/run-changes.ts";
import { createRunService } from "./runs/run-service.ts";
import { createBackgroundCalls } from "../temporal/background-calls.ts";
import { openClient } from "../temporal/connection.ts";
import { createRunWorkflows } from "../temporal/run-workflows.ts";
import { createServerService } from "./services/server-service.ts";
import { createSigner, createVerifier, loadSigningKeys } from "./data-plane/signing.ts";

/** What is still open by then is cut; the supervisor would wait little longer. */
const STOP_MS = 8000;
/** The cluster of Docker mode; its workers take their runs from the task queue of this name. */
const CLUSTER = "docker";
const OWNER_ONLY = 0o600;
/** Whoever has a signed URL may use it. */
const EVERYBODY = 0o666;

const config = readApiConfig(process.env);
const log = createLog(config.TYGER_LOG_LEVEL, "api");
const folderOf = (name: string): string => join(config.TYGER_DATA_DIR, name);
const folders = [folderOf("buffers"), folderOf("logs")];
await Promise.all(folders.map((folder) => mkdir(folder, { recursive: true })));

const [db, keys] = await Promise.all([openDatabase(config.DATABASE_URL), loadSigningKeys(folderOf("keys"))]);
const { installationId, codespecs, buffers, runs } = db;
const store = createFilesystemStore(folderOf("buffers"));
const compute = createDockerReader({ dockerHost: config.DOCKER_HOST, installationId });
const changes = createRunChanges(runs);
const temporal = openClient({
  address: config.TEMPORAL_ADDRESS,
  namespace: config.TEMPORAL_NAMESPACE,
  apiKey: config.TEMPORAL_API_KEY,
});
const workflows = createBackgroundCalls({
  workflows: createRunWorkflows(temporal, installationId, CLUSTER),
  runs,
  log,
});

const control = createApp({
  codespecs: createCodespecService(codespecs),
  buffers: createBufferService(buffers, store, createSigner(keys, config.TYGER_DATA_SOCKET)),
  runs: createRunService({
    runs,
    codespecs,
    buffers,
    store,
    compute,
    archive: createLogArchive(folderOf("logs")),
    changes,
    workflows,
    maxOpenRuns: config.TYGER_MAX_OPEN_RUNS,
  }),
  server: createServerService({
    compute,
    probes: [() => db.ping(), ...folders.map((folder) => () => access(folder, constants.W_OK))],
    databaseVersion: db.schemaVersion,
  }),
  place: createDataPlanePlace(config.TYGER_DATA_SOCKET, config.TYGER_LISTEN),
  log,
});
const data = createDataPlane({ store, verify: createVerifier(keys), log });

await listenOnSocket(data, config.TYGER_DATA_SOCKET, EVERYBODY);
await listenOnSocket(control, config.TYGER_API_SOCKET, OWNER_ONLY);
const tcp = config.TYGER_LISTEN === undefined ? undefined : await listenOnTcp(control, data, config.TYGER_LISTEN);
log.info({ socket: config.TYGER_API_SOCKET, listen: config.TYGER_LISTEN }, "API is ready");

const stop = async (): Promise<void> => {
  tcp?.close();
  tcp?.closeIdleConnections();
  await Promise.all([control.close(), data.close()]);
  tcp?.closeAllConnections();
  await Promise.all([changes.close(), workflows.close()]);
  await temporal.connection.close();
  await db.close();
};
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    setTimeout(() => process.exit(1), STOP_MS).unref();
    stop().then(
      () => process.exit(0),
      (err: unknown) => {
        log.error({ reason: messageOf(err) }, "the API did not stop cleanly");
        process.exit(1);
      },
    );
  });
}
// Batch systems signal all processes of a job before its time is up; the stack stays.
for (const signal of ["SIGUSR1", "SIGUSR2"] as const) process.on(signal, () => {});
