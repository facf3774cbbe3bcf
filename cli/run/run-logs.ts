import type { Writable } from "node:stream";
import type { LogBytesOptions } from "../../client/run/logs.ts";
import { writeAll } from "../terminal/host.ts";
import type { Log } from "../terminal/log.ts";

export async function copyLogs(bytes: AsyncIterable<Uint8Array>, sink: Writable): Promise<void> {
  for await (const chunk of bytes) await writeAll(sink, chunk);
}

/** Reopening a log is invisible to its reader, so it is reported only at debug level. */
export const reopening = (log: Log): Pick<LogBytesOptions, "onReopen"> => ({
  onReopen: (error) => log.debug("Reconnecting to the log", { error }),
});
