import { DefaultLogger, Runtime } from "@temporalio/worker";
import { z } from "zod";
import { createBufferStores, createLocator } from "../../buffers/buffer-stores.ts";
import { openLocations } from "../../buffers/locations.ts";
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

const db = await openDatabase(config.DATABASE_URL);
const { installationId, locations: records } = db;
const locations = await openLocations(config.locations, { dataDir: config.TYGER_DATA_DIR, records, installationId });
const { writer, reader, watcher } = createFakeCompute(db.claims, { forMs });
const serving = await serveRuns(config, createLog("error", "worker"), {
  db,
  store: createBufferStores(locations, createLocator(locations, db.buffers)),
  archive: createLogArchive(locations),
  clusters: config.clusters.map((cluster) => ({ ...cluster, writer, logs: reader, watcher })),
  clusterNames: config.clusterNames,
});
process.once("SIGTERM", () => serving.stop());
await serving.ended;
// Jobs that "run" hold their timers.
process.exit();
