import { DefaultLogger, Runtime } from "@temporalio/worker";
import { z } from "zod";
import { createLog } from "../../config/log.ts";
import { readWorkerConfig } from "../../config/server.ts";
import { serveRuns } from "../../worker/serve.ts";
import { createFakeCompute } from "../fakes/compute.ts";

/** The worker with a backend that does nothing: its jobs "run" for BENCH_JOB_MS milliseconds. */
const config = readWorkerConfig(process.env);
const { BENCH_JOB_MS: forMs } = z.object({ BENCH_JOB_MS: z.coerce.number() }).parse(process.env);
Runtime.install({ logger: new DefaultLogger("ERROR") });

const serving = await serveRuns(config, createLog("error", "worker"), ({ claims }) => {
  const { writer, reader, watcher } = createFakeCompute(claims, { forMs });
  return { cluster: "docker", writer, logs: reader, watcher };
});
process.once("SIGTERM", () => serving.stop());
await serving.ended;
// Jobs that "run" hold their timers.
process.exit();
