import { DefaultLogger, Runtime } from "@temporalio/worker";
import { createLog } from "../config/log.ts";
import { readWorkerConfig } from "../config/server.ts";
import { createDockerReader } from "../docker/log/reader.ts";
import { createDockerWatcher } from "../docker/watcher.ts";
import { createDockerWriter } from "../docker/launch/writer.ts";
import { serveRuns, type Backend, type BackendParts } from "./serve.ts";

const config = readWorkerConfig(process.env);
const log = createLog(config.TYGER_LOG_LEVEL, "worker");
Runtime.install({
  logger: new DefaultLogger("INFO", ({ level, message, meta }) => {
    const write = { TRACE: log.trace, DEBUG: log.debug, INFO: log.info, WARN: log.warn, ERROR: log.error }[level];
    write.call(log, meta ?? {}, message);
  }),
});

function docker(parts: BackendParts): Backend {
  const engine = { dockerHost: config.DOCKER_HOST, ...parts };
  return {
    cluster: "docker",
    writer: createDockerWriter({ ...engine, pumpCommand: { node: process.execPath, main: config.TYGER_PUMP_MAIN } }),
    logs: createDockerReader(engine),
    watcher: createDockerWatcher(engine),
  };
}

const serving = await serveRuns(config, log, docker);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => serving.stop());
// Batch systems signal all processes of a job before its time is up; the stack stays.
for (const signal of ["SIGUSR1", "SIGUSR2"] as const) process.on(signal, () => {});
await serving.ended;
