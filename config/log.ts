import { pino, type DestinationStream, type Logger } from "pino";
import { createLineWriter } from "../disk/line-writer.ts";

const STDOUT = 1;

/**
 * The log of a server process: one JSON object per line, with the keys that log readers expect. By default on standard output,
 * which pino alone would end the process for if its disk is full.
 */
export function createLog(
  level: string,
  category: string,
  destination: DestinationStream = createLineWriter(STDOUT, lossOf(category)),
): Logger {
  return pino(
    {
      level,
      base: { category },
      messageKey: "message",
      errorKey: "exception",
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}

const lossOf =
  (category: string) =>
  (lines: number, reason: string): string => {
    const timestamp = new Date().toISOString();
    return `${JSON.stringify({ level: "warn", timestamp, category, lines, reason, message: "lines of this log were lost" })}\n`;
  };
