import type { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { ZERO_INSTANT } from "../../model/ports/log.ts";
import type { Client, Query } from "../server/client.ts";
import { connectionCodeOf } from "../server/client-errors.ts";
import { writeAll } from "../terminal/host.ts";
import { lineBatchesOf } from "./line-reader.ts";
import type { Log } from "../terminal/log.ts";

export interface LogRequest {
  id: string;
  since?: string | undefined;
  tailLines?: number | undefined;
  timestamps: boolean;
  signal?: AbortSignal;
}

const logsPath = (id: string): string => `/runs/${encodeURIComponent(id)}/logs`;

/** Copies the log as it is at this moment. */
export async function copyLogs(client: Client, sink: Writable, request: LogRequest): Promise<void> {
  const query: Query = {
    since: request.since,
    tailLines: request.tailLines,
    timestamps: request.timestamps || undefined,
  };
  const response = await client.send({ method: "GET", path: logsPath(request.id), query });
  for await (const chunk of response as AsyncIterable<Buffer>) await writeAll(sink, chunk);
}

/** The pause before a broken connection is made anew. */
const REOPEN_MS = 100;
const LINE_FEED = Buffer.from("\n");

/** Copies the log until the run has ended; a connection that breaks is resumed after the last line that came. */
export async function followLogs(client: Client, log: Log, sink: Writable, request: LogRequest): Promise<void> {
  let { since, tailLines } = request;
  for (;;) {
    try {
      const response = await client.send({
        method: "GET",
        path: logsPath(request.id),
        query: { follow: true, since, tailLines, timestamps: true },
        ...(request.signal && { signal: request.signal }),
      });
      for await (const { lines, cut } of lineBatchesOf(response as AsyncIterable<Buffer>)) {
        const pieces = lines.flatMap((line) => [shownLine(line, request.timestamps), LINE_FEED]);
        if (cut) pieces.push(shownLine(cut, request.timestamps));
        await writeAll(sink, Buffer.concat(pieces));
        since = timestampOf(lines.at(-1)) ?? since;
        tailLines = undefined;
      }
      return;
    } catch (err) {
      if (request.signal?.aborted || sink.errored || connectionCodeOf(err) === undefined) throw err;
      log.debug("The log is opened again", { error: err });
      await sleep(REOPEN_MS);
    }
  }
}

/** A followed log always comes with timestamps, each followed by one space. */
const shownLine = (line: Buffer, withTimestamp: boolean): Buffer =>
  withTimestamp ? line : line.subarray(line.indexOf(32) + 1);

/** The timestamp to resume after; a line that has none of its own says nothing. */
function timestampOf(line: Buffer | undefined): string | undefined {
  const text = line?.toString("latin1", 0, Math.max(0, line.indexOf(32)));
  return text && text !== ZERO_INSTANT ? text : undefined;
}
