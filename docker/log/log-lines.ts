import { ZERO_INSTANT, type LogLine, type LogLines } from "../../model/ports/log.ts";
import type { LogEntry } from "./log-entries.ts";

/** A line whose text is longer is cut here, because it is held in memory. */
export const MAX_LINE_BYTES = 64 * 1024 * 1024;
/** Output and error reach the engine's log by two ways; they can have overtaken each other by this many lines. */
const WINDOW_LINES = 512;
/** Lines that are larger together are not held back to be put in order. */
export const WINDOW_BYTES = 16 * 1024 * 1024;

const LINE_FEED = 0x0a;
const LINE_FEED_BYTES = Buffer.from("\n");

/** Follows a line that was cut, because the job did not write the line feed before it. */
export const CUT_LINE_MARK = Buffer.from(
  "[tyger] The line above is longer than 64 MiB and was cut; the next line continues it\n",
);

/** A line with its stream, output or error. */
export interface JoinedLine extends LogLine {
  stream: number;
}

interface OpenLine {
  stream: number;
  at: string;
  pieces: Buffer[];
  sizeBytes: number;
}

/** Joins the pieces of long lines, output and error apart. */
export class LineJoiner {
  readonly #prefix: Buffer | undefined;
  readonly #open = new Map<number, OpenLine>();

  /** `prefix` goes before each line. */
  constructor(prefix: string) {
    this.#prefix = prefix === "" ? undefined : Buffer.from(prefix);
  }

  /** The lines that these entries complete, in the order of their completion. */
  add(entries: readonly LogEntry[]): JoinedLine[] {
    const lines: JoinedLine[] = [];
    for (const { stream, at, text } of entries) {
      const open = this.#open.get(stream);
      const isWhole = text.at(-1) === LINE_FEED;
      if (!open && isWhole) {
        lines.push({ stream, at, bytes: this.#prefix ? Buffer.concat([this.#prefix, text]) : text });
        continue;
      }
      let line = open ?? this.#begun(stream, at);
      let rest = text;
      while (line.sizeBytes + rest.length - (isWhole ? 1 : 0) > MAX_LINE_BYTES) {
        const room = MAX_LINE_BYTES - line.sizeBytes;
        line.pieces.push(rest.subarray(0, room));
        lines.push(this.#close(line, true), { stream, at: line.at, bytes: CUT_LINE_MARK });
        rest = rest.subarray(room);
        line = this.#begun(stream, at);
      }
      line.pieces.push(rest);
      line.sizeBytes += rest.length;
      if (isWhole) lines.push(this.#close(line, false));
      else this.#open.set(stream, line);
    }
    return lines;
  }

  #begun(stream: number, at: string): OpenLine {
    return { stream, at, pieces: this.#prefix ? [this.#prefix] : [], sizeBytes: 0 };
  }

  /** A rest without a line feed; only the very last line of a log keeps none, unless `more` follows. */
  end(more: boolean): JoinedLine[] {
    const open = [...this.#open.values()].sort((a, b) => (a.at < b.at ? -1 : 1));
    return open.map((line, index) => this.#close(line, more || index < open.length - 1));
  }

  #close(line: OpenLine, feed: boolean): JoinedLine {
    this.#open.delete(line.stream);
    const { stream, at } = line;
    return { stream, at, bytes: Buffer.concat(feed ? [...line.pieces, LINE_FEED_BYTES] : line.pieces) };
  }
}

/** The lines in time order, in bounded memory: none is further from its position than engines cause. */
export async function* inTimeOrder(lines: LogLines): LogLines {
  let held: readonly LogLine[] = [];
  for await (const batch of lines) {
    const sorted = sortByTime([...held, ...batch]);
    const heldFrom = sorted.length - windowOf(sorted);
    const ready = sorted.slice(0, heldFrom);
    held = sorted.slice(heldFrom);
    if (ready.length > 0) yield ready;
  }
  if (held.length > 0) yield held;
}

/** How many of the last lines are held back. */
function windowOf(lines: readonly LogLine[]): number {
  let count = 0;
  for (let sizeBytes = 0; count < Math.min(WINDOW_LINES, lines.length); count++) {
    sizeBytes += lines[lines.length - 1 - count]?.bytes.length ?? 0;
    if (sizeBytes > WINDOW_BYTES) break;
  }
  return count;
}

/** Stable; a line without an instant stays behind the one that it followed. */
export function sortByTime<L extends LogLine>(lines: readonly L[]): readonly L[] {
  let last = ZERO_INSTANT;
  let isSorted = true;
  const keyed = lines.map((line) => {
    const key = line.at === ZERO_INSTANT ? last : line.at;
    if (key < last) isSorted = false;
    last = key;
    return { key, line };
  });
  if (isSorted) return lines;
  const sorted = keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ line }) => line);
  return sorted.map((line, index) => (index < sorted.length - 1 ? closed(line) : line));
}

/** An unfinished last line of one stream may be sorted before a line of the other. */
const closed = <L extends LogLine>(line: L): L =>
  line.bytes.at(-1) === LINE_FEED ? line : { ...line, bytes: Buffer.concat([line.bytes, LINE_FEED_BYTES]) };

/** Only the lines strictly later than `since`, an instant with nine digits. */
export async function* laterThan(lines: LogLines, since: string | undefined): LogLines {
  for await (const batch of lines) {
    const wanted = since === undefined ? batch : batch.filter(({ at }) => at > since);
    if (wanted.length > 0) yield wanted;
  }
}
