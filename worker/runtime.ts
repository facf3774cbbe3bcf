import { DefaultLogger, Runtime } from "@temporalio/worker";
import type { Logger } from "pino";

/** Sends the lines of Temporal's runtime to our log. Once a process, before it connects. */
export function logTemporalTo(log: Logger): void {
  Runtime.install({
    logger: new DefaultLogger("INFO", ({ level, message, meta }) => {
      const write = { TRACE: log.trace, DEBUG: log.debug, INFO: log.info, WARN: log.warn, ERROR: log.error }[level];
      write.call(log, meta ?? {}, message);
    }),
  });
}
