import { pino, type DestinationStream, type Logger } from "pino";

/** The log of a server process: one JSON object per line, with the keys that log readers expect. */
export function createLog(level: string, category: string, destination?: DestinationStream): Logger {
  return pino(
    {
      level,
      base: { category },
      messageKey: "message",
      errorKey: "exception",
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    ...(destination ? [destination] : []),
  );
}
