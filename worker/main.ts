import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createFilesystemStore } from "../buffers/filesystem/filesystem-store.ts";
import { createFolderObjects } from "../buffers/filesystem/folder-objects.ts";
import { createLog } from "../config/log.ts";
import { readWorkerConfig } from "../config/server.ts";
import { openDatabase } from "../db/database.ts";
import { createDockerWriter } from "../docker/launch/writer.ts";
import { createDockerReader } from "../docker/log/reader.ts";
import { createDockerWatcher } from "../docker/watcher.ts";
import { createLogArchive } from "../logs/archive.ts";
import { engineScopeOf, runsFolderOf } from "../model/run/names.ts";
import { logTemporalTo } from "./runtime.ts";
import { serveRuns } from "./serve.ts";

const config = readWorkerConfig(process.env);
const log = createLog(config.TYGER_LOG_LEVEL, "worker");
logTemporalTo(log);
const folderOf = (name: string): string => join(config.TYGER_DATA_DIR, name);
const db = await openDatabase(config.DATABASE_URL, { directUrl: config.DATABASE_DIRECT_URL });
await Promise.all(["buffers", "logs"].map((name) => mkdir(folderOf(name), { recursive: true })));
const pumpCommand = { node: process.execPath, main: config.TYGER_PUMP_MAIN };
const clusters = config.clusters.map(({ name, dockerHost, maxLiveRuns }) => {
  const engine = {
    dockerHost,
    installationId: engineScopeOf(db.installationId, name),
    claims: db.claims,
    runsDir: folderOf(runsFolderOf(name)),
    storeDir: folderOf("buffers"),
  };
  return {
    name,
    maxLiveRuns,
    writer: createDockerWriter({ ...engine, pumpCommand }),
    logs: createDockerReader(engine),
    watcher: createDockerWatcher({ ...engine, log }),
  };
});

const serving = await serveRuns(config, log, {
  db,
  store: createFilesystemStore(folderOf("buffers")),
  archive: createLogArchive(createFolderObjects(folderOf("logs"))),
  clusters,
  clusterNames: config.clusterNames,
});
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => serving.stop());
// Batch systems signal all processes of a job before its time is up; the stack stays.
for (const signal of ["SIGUSR1", "SIGUSR2"] as const) process.on(signal, () => {});
await serving.ended;
