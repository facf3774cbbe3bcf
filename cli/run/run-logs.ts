import type { Writable } from "node:stream";
import type { LogBytesOptions } from "../../client/logs.ts";
import { writeAll } from "../terminal/host.ts";
import type { Log } from "../terminal/log.ts";

/** Copies a log to its end. */
export async function copyLogs(bytes: AsyncIterable<Uint8Array>, sink: Writable): Promise<void> {
  for await (const chunk of bytes) await writeAll(sink, chunk);
}

/** A log that is opened again shows nothing of it to the user who reads it. */
export const reopening = (log: Log): Pick<LogBytesOptions, "onReopen"> => ({
  onReopen: (error) => log.debug("The log is opened again", { error }),
});
