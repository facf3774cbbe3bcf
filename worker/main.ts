import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createBufferStores, createLocator } from "../buffers/buffer-stores.ts";
import { openLocations } from "../buffers/locations.ts";
import { createLog } from "../config/log.ts";
import { readWorkerConfig } from "../config/server.ts";
import { openDatabase } from "../db/database.ts";
import { createDockerWriter } from "../docker/launch/writer.ts";
import { createDockerReader } from "../docker/log/reader.ts";
import { createDockerWatcher } from "../docker/watcher.ts";
import { createLogArchive } from "../logs/archive.ts";
import { createLogParts } from "../logs/log-parts.ts";
import type { PumpKey } from "../model/ports/pump-channel.ts";
import { engineScopeOf, runsFolderOf } from "../model/run/names.ts";
import { apiPumps } from "../runs/api-pumps.ts";
import { createChanges } from "../waiting/changes.ts";
import { logTemporalTo } from "./runtime.ts";
import { serveRuns } from "./serve.ts";

const config = readWorkerConfig(process.env);
const log = createLog(config.TYGER_LOG_LEVEL, "worker");
logTemporalTo(log);
const db = await openDatabase(config.DATABASE_URL, { directUrl: config.DATABASE_DIRECT_URL });
const { installationId, locations: records } = db;
const locations = await openLocations(config.locations, { dataDir: config.TYGER_DATA_DIR, records, installationId });
await locations.prepare(log);
const locate = createLocator(locations, db.buffers);
const pumpCommand = { node: process.execPath, main: config.TYGER_PUMP_MAIN };
const parts = createLogParts(locations);
const pumpChanges = createChanges<PumpKey>((changed) => db.pumps.listen(changed));
const pumps = apiPumps(db.pumps, pumpChanges);
const dataPlane = config.dataPlaneUrl === undefined ? undefined : { url: config.dataPlaneUrl, pumps };
const clusters = await Promise.all(
  config.clusters.map(async (cluster) => {
    const { name, maxLiveRuns } = cluster;
    const { claims } = db;
    const scope = engineScopeOf(installationId, name);
    if (cluster.kind === "kubernetes") {
      // Its packages take 90 MB, and a second.
      const { openKubeCluster } = await import("../k8s/cluster.ts");
      const { serverUrl } = config;
      const { reader, work } = openKubeCluster({ ...cluster, serverUrl }, { installationId, scope }, parts);
      const pumpText = await readFile(join(dirname(config.TYGER_PUMP_MAIN), "pod-pump.js"), "utf8");
      return { name, maxLiveRuns, logs: reader, ...work({ claims, pumps, pumpText, log }) };
    }
    const engine = {
      dockerHost: cluster.dockerHost,
      installationId: scope,
      claims,
      runsDir: join(config.TYGER_DATA_DIR, runsFolderOf(name)),
      placeOf: async (bufferId: string) => locations.placeAt(await locate(bufferId)),
      dataPlane,
    };
    return {
      name,
      maxLiveRuns,
      logs: createDockerReader(engine),
      writer: createDockerWriter({ ...engine, pumpCommand }),
      watcher: createDockerWatcher({ ...engine, log }),
    };
  }),
);

const serving = await serveRuns(config, log, {
  db,
  store: createBufferStores(locations, locate),
  archive: createLogArchive(locations),
  clusters,
  clusterNames: config.clusterNames,
});
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => serving.stop());
// Batch systems signal all processes of a job before its time is up; the stack stays.
for (const signal of ["SIGUSR1", "SIGUSR2"] as const) process.on(signal, () => {});
await serving.ended;
await pumpChanges.close();
