import { createBufferStores, createLocator } from "../buffers/buffer-stores.ts";
import { openLocations } from "../buffers/locations.ts";
import { createLog } from "../config/log.ts";
import { readApiConfig } from "../config/server.ts";
import { openDatabase } from "../db/database.ts";
import { createDockerReader } from "../docker/log/reader.ts";
import { createLogArchive } from "../logs/archive.ts";
import { createLogParts } from "../logs/log-parts.ts";
import { messageOf } from "../model/errors.ts";
import { engineScopeOf } from "../model/run/names.ts";
import { dockerChecks, type ModeChecks } from "../runs/mode-checks.ts";
import { serveApi } from "./serve.ts";

/** Streams that are still open by then are cut; the supervisor would not wait much longer. */
const STOP_MS = 8000;

const config = readApiConfig(process.env);
const log = createLog(config.TYGER_LOG_LEVEL, "api");
const serverUrl = config.dataPlane?.publicUrl;
const db = await openDatabase(config.DATABASE_URL, { directUrl: config.DATABASE_DIRECT_URL });
const { installationId, locations: records } = db;
const locations = await openLocations(config.locations, { dataDir: config.TYGER_DATA_DIR, records, installationId });
await locations.prepare(log);
const parts = createLogParts(locations);
const areSeveral = config.clusters.length > 1;
const isKubernetes = config.clusters.some(({ kind }) => kind === "kubernetes");
const clusters = await Promise.all(
  config.clusters.map(async (cluster) => {
    const { name } = cluster;
    const scope = engineScopeOf(installationId, name);
    if (cluster.kind === "kubernetes") {
      // Its packages take 90 MB, and a second.
      const { openKubeCluster } = await import("../k8s/cluster.ts");
      const { reader, checkJob } = openKubeCluster({ ...cluster, serverUrl }, { installationId, scope }, parts);
      const checkMode: ModeChecks = async (request, codespec) => checkJob(request, codespec);
      return { name, compute: reader, checkMode };
    }
    const compute = createDockerReader({ dockerHost: cluster.dockerHost, installationId: scope });
    return { name, compute, checkMode: dockerChecks(compute, areSeveral ? cluster : undefined) };
  }),
);

const serving = await serveApi(config, log, {
  db,
  store: createBufferStores(locations, createLocator(locations, db.buffers)),
  archive: createLogArchive(locations),
  // A client of a server with one engine cannot choose.
  clusters: { all: clusters, areShown: areSeveral || isKubernetes },
  capabilities: isKubernetes ? ["NodePools", "Kubernetes"] : ["Docker"],
  checkStorage: () => locations.check(),
});
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    setTimeout(() => process.exit(1), STOP_MS).unref();
    serving.stop().then(
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
