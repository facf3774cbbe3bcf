import type { LogLine, LogLines } from "../../model/ports/log.ts";
import { DISORDER_MS, LogCursor } from "./log-cursor.ts";
import type { LogEntry } from "./log-entries.ts";
import { LineJoiner, sortByTime, type JoinedLine } from "./log-lines.ts";

export interface TailRequest {
  count: number;
  /** Only lines later than this count. */
  since: string | undefined;
  prefix: string;
  /** The log so far, or its last `entries` entries. */
  read: (entries?: number) => AsyncIterable<LogEntry[]>;
}

/** The end of a log, and the state to continue from there. */
export interface Tail {
  lines: LogLines;
  /** Valid once `lines` has been read. */
  position: { cursor: LogCursor; joiner: LineJoiner };
}

/** More than this is not held in memory; the log is then read twice. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
/** The engine counts the pieces of long lines: if N entries were too few, this many times more are requested. */
const GROWTH = 16;
const MAX_ENTRIES = 2 ** 31 - 1;

/**
 * The last `count` whole lines, in time order.
 * @param keepOpen leaves a last line without a line feed to the joiner, for a reader that follows
 */
export async function readTail(request: TailRequest, keepOpen: boolean): Promise<Tail> {
  for (let entries = 2 * request.count + 32; ; entries *= GROWTH) {
    const window = await readWindow(request, entries, keepOpen);
    if (window === "too large") return readTwice(request, keepOpen);
    if (!window) continue;
    return { lines: batchOf(window.lines), position: window };
  }
}

interface Window {
  lines: readonly LogLine[];
  cursor: LogCursor;
  joiner: LineJoiner;
}

/** Undefined when this many entries do not have enough lines. */
async function readWindow(
  { count, since, prefix, read }: TailRequest,
  entries: number,
  keepOpen: boolean,
): Promise<Window | "too large" | undefined> {
  const cursor = new LogCursor();
  const joiner = new LineJoiner(prefix);
  let lines: JoinedLine[] = [];
  let seen = 0;
  let heldBytes = 0;
  let firstAt: string | undefined;
  const hold = (more: readonly JoinedLine[]): void => {
    for (const line of more) {
      lines.push(line);
      heldBytes += line.bytes.length;
    }
  };
  for await (const batch of entries > MAX_ENTRIES ? read() : read(entries)) {
    firstAt ??= batch[0]?.at;
    seen += batch.length;
    cursor.pass(batch);
    hold(joiner.add(batch));
    if (heldBytes > MAX_HELD_BYTES) return "too large";
  }
  if (!keepOpen) hold(joiner.end(false));

  const isWhole = seen < entries;
  if (!isWhole && keepOpen && !cursor.canResumeFrom(firstAt ?? "")) return undefined;
  const doubtful = isWhole ? [] : beginnings(lines, firstAt ?? "");
  const sorted = sortByTime(lines.filter((line) => !doubtful.includes(line)));
  const wanted = since === undefined ? sorted : sorted.filter(({ at }) => at > since);
  const last = count === 0 ? [] : wanted.slice(-count);
  const isEnough = last.length === count || wanted.length < sorted.length;
  const reachesDoubt =
    count > 0 && doubtful.some(({ at }) => at >= (last[0]?.at ?? "") && (since === undefined || at > since));
  return isWhole || (isEnough && !reachesDoubt) ? { lines: last, cursor, joiner } : undefined;
}

/**
 * The lines whose first pieces may be missing: the first line of each stream, unless it is so much later than the start
 * of the window that its other pieces, which have the same instant, would be in it.
 */
function beginnings(lines: readonly JoinedLine[], firstAt: string): JoinedLine[] {
  const first = new Map<number, JoinedLine>();
  for (const line of lines) if (!first.has(line.stream)) first.set(line.stream, line);
  return [...first.values()].filter(({ at }) => Date.parse(at) - Date.parse(firstAt) < DISORDER_MS);
}

/** Counts, then skips: as slow as reading all of it twice, in the memory of one chunk. */
async function readTwice({ count, since, prefix, read }: TailRequest, keepOpen: boolean): Promise<Tail> {
  const later = (lines: readonly LogLine[]): readonly LogLine[] =>
    since === undefined ? lines : lines.filter(({ at }) => at > since);
  const first = new LineJoiner(prefix);
  let total = 0;
  for await (const batch of read()) total += later(first.add(batch)).length;
  if (!keepOpen) total += later(first.end(false)).length;

  const position = { cursor: new LogCursor(), joiner: new LineJoiner(prefix) };
  async function* skipping(): LogLines {
    let toSkip = total - count;
    const rest = (lines: readonly LogLine[]): readonly LogLine[] => {
      const skipped = Math.max(0, Math.min(toSkip, lines.length));
      toSkip -= skipped;
      return lines.slice(skipped);
    };
    for await (const batch of read()) {
      yield rest(later(sortByTime(position.joiner.add(position.cursor.pass(batch)))));
    }
    if (!keepOpen) yield rest(later(position.joiner.end(false)));
  }
  return { lines: skipping(), position };
}

async function* batchOf(lines: readonly LogLine[]): LogLines {
  if (lines.length > 0) yield lines;
}
