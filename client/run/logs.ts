import { setTimeout as sleep } from "node:timers/promises";
import { connectionFailureOf } from "../../model/errno.ts";
import { ZERO_INSTANT } from "../../model/ports/log.ts";
import type { CallOptions, Http } from "../http/http.ts";
import { lineBatchesOf } from "./line-reader.ts";

export interface LogOptions extends CallOptions {
  /** Keep reading until the run ends. */
  follow?: boolean | undefined;
  /** Only lines after this instant, RFC 3339. */
  since?: string | undefined;
  /** Only this many lines from the end. */
  tailLines?: number | undefined;
}

export interface LogBytesOptions extends LogOptions {
  /** Start each line with its time and a space. */
  timestamps?: boolean | undefined;
  /** Called when the connection broke and is opened again. */
  onReopen?: ((error: unknown) => void) | undefined;
}

/** One line that a container of the run wrote. */
export interface LogLine {
  text: string;
  /** RFC 3339 with nanoseconds; undefined where a container's line was not given one. */
  timestamp: string | undefined;
}

const requestOf = (id: string | number) => ({ method: "GET", path: `/runs/${encodeURIComponent(id)}/logs` }) as const;

/**
 * The log byte for byte, as it is at this moment or until the run ends. A followed log whose connection breaks is resumed
 * after the last line that arrived.
 */
export async function* logBytes(
  http: Http,
  id: string | number,
  options: LogBytesOptions,
): AsyncGenerator<Buffer, void> {
  const { since, tailLines, timestamps, signal } = options;
  if (options.follow) return yield* followedBytes(http, id, options);
  const query = { since, tailLines, timestamps: timestamps || undefined };
  try {
    const { body } = await http.send({ ...requestOf(id), query, signal });
    yield* body;
  } catch (err) {
    signal?.throwIfAborted();
    throw err;
  }
}

/** The pause before a broken connection is opened again. */
const REOPEN_MS = 100;
const LINE_FEED = Buffer.from("\n");

async function* followedBytes(
  http: Http,
  id: string | number,
  { since, tailLines, timestamps = false, signal, onReopen }: LogBytesOptions,
): AsyncGenerator<Buffer, void> {
  for (;;) {
    let body: AsyncIterable<Buffer>;
    const query = { follow: true, since, tailLines, timestamps: true };
    ({ body } = await http.send({ ...requestOf(id), query, signal }));
    try {
      for await (const { lines, cut } of lineBatchesOf(body)) {
        const pieces = lines.flatMap((line) => [shownLine(line, timestamps), LINE_FEED]);
        if (cut) pieces.push(shownLine(cut, timestamps));
        yield Buffer.concat(pieces);
        since = timestampOf(lines.at(-1)) ?? since;
        tailLines = undefined;
      }
      return;
    } catch (err) {
      signal?.throwIfAborted();
      if (connectionFailureOf(err) === undefined) throw err;
      onReopen?.(err);
      await sleep(REOPEN_MS, undefined, signal && { signal }).catch(() => undefined);
    }
  }
}

/** The lines of a log with their times; {@link logBytes} has those that are not UTF-8. */
export async function* logLines(http: Http, id: string | number, options: LogOptions): AsyncGenerator<LogLine, void> {
  for await (const { lines, cut } of lineBatchesOf(logBytes(http, id, { ...options, timestamps: true }))) {
    for (const line of cut ? [...lines, cut] : lines) {
      yield { text: line.toString("utf8", line.indexOf(SPACE) + 1), timestamp: timestampOf(line) };
    }
  }
}

const SPACE = 32;

/** A followed log always comes with timestamps, each followed by one space. */
const shownLine = (line: Buffer, withTimestamp: boolean): Buffer =>
  withTimestamp ? line : line.subarray(line.indexOf(SPACE) + 1);

/** The timestamp to resume after; a line that has none of its own says nothing. */
function timestampOf(line: Buffer | undefined): string | undefined {
  const text = line?.toString("latin1", 0, Math.max(0, line.indexOf(SPACE)));
  return text && text !== ZERO_INSTANT ? text : undefined;
}
