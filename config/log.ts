import { pino, type DestinationStream, type Logger } from "pino";

/** The log of a server process: a JSON object a line, with the keys of the contract. @see rest-api.md, server logs */
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
