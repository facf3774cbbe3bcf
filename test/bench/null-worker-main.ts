import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DefaultLogger, Runtime } from "@temporalio/worker";
import { z } from "zod";
import { createFilesystemStore } from "../../buffers/filesystem/filesystem-store.ts";
import { createFolderObjects } from "../../buffers/filesystem/folder-objects.ts";
import { createLog } from "../../config/log.ts";
import { readWorkerConfig } from "../../config/server.ts";
import { openDatabase } from "../../db/database.ts";
import { createLogArchive } from "../../logs/archive.ts";
import { serveRuns } from "../../worker/serve.ts";
import { createFakeCompute } from "../fakes/compute.ts";

/** The worker with a backend that does nothing: its jobs "run" for BENCH_JOB_MS milliseconds. */
const config = readWorkerConfig(process.env);
const { BENCH_JOB_MS: forMs } = z.object({ BENCH_JOB_MS: z.coerce.number() }).parse(process.env);
Runtime.install({ logger: new DefaultLogger("ERROR") });

await mkdir(join(config.TYGER_DATA_DIR, "logs"), { recursive: true });
const db = await openDatabase(config.DATABASE_URL);
const { writer, reader, watcher } = createFakeCompute(db.claims, { forMs });
const serving = await serveRuns(config, createLog("error", "worker"), {
  db,
  store: createFilesystemStore(join(config.TYGER_DATA_DIR, "buffers")),
  archive: createLogArchive(createFolderObjects(join(config.TYGER_DATA_DIR, "logs"))),
  clusters: config.clusters.map((cluster) => ({ ...cluster, writer, logs: reader, watcher })),
  clusterNames: config.clusterNames,
});
process.once("SIGTERM", () => serving.stop());
await serving.ended;
// Jobs that "run" hold their timers.
process.exit();
