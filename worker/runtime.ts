import { DefaultLogger, Runtime, type LogEntry } from "@temporalio/worker";
import type { Logger } from "pino";

/** Sends the lines of Temporal's runtime to our log. Once a process, before it connects. */
export function logTemporalTo(log: Logger): void {
  Runtime.install({
    // By default SIGUSR2 is one of them, which batch systems send to all processes of a job before its time is up.
    shutdownSignals: ["SIGINT", "SIGTERM", "SIGQUIT"],
    logger: new DefaultLogger("INFO", (entry) => {
      const { message, meta } = entry;
      const levels = { TRACE: log.trace, DEBUG: log.debug, INFO: log.info, WARN: log.warn, ERROR: log.error };
      const write = levels[isEndOfRun(entry) ? "INFO" : entry.level];
      write.call(log, meta ?? {}, message);
    }),
  });
}

/** The SDK warns of each workflow that fails; that of a failed run is meant to. */
const isEndOfRun = ({ message, meta }: LogEntry): boolean =>
  message === "Workflow failed" && meta?.["workflowType"] === "superviseRun";
