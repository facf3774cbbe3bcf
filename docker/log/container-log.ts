import { setTimeout as sleep } from "node:timers/promises";
import { CodedError, messageOf } from "../../model/errors.ts";
import { ZERO_INSTANT, type LogLines, type LogQuery } from "../../model/ports/log.ts";
import { logInstant } from "../../model/time/instant.ts";
import { EngineRefusal } from "../engine/engine-call.ts";
import type { ContainerInfo, Engine, LogStreamOptions } from "../engine/engine.ts";
import { LABEL_CONTAINER_NAME } from "../launch/container-spec.ts";
import { inspectSurely } from "../launch/gone.ts";
import { brokenOffMark, cutMark, LogCapMeter, unreadableMark } from "./log-cap.ts";
import { LogCursor } from "./log-cursor.ts";
import { readEntries, UnreadableLogError, type LogEntry } from "./log-entries.ts";
import { inTimeOrder, laterThan, LineJoiner, sortByTime } from "./log-lines.ts";
import { readTail, type Tail } from "./log-tail.ts";

/** How long to wait for an engine that goes away in the middle of a followed log. */
const RESUME_MS = 60_000;
const RESUME_AGAIN_MS = 100;
const MISSED_ENTRIES = 256;

/** One container's log, and the engine that holds it. */
interface LogSource {
  engine: Engine;
  id: string;
  signal: AbortSignal;
  read: (options: LogStreamOptions) => AsyncGenerator<LogEntry[]>;
}

/** How far a log was read. */
export type LogPosition = Tail["position"];

/** The log of a started container. */
export interface ContainerLog {
  read(query: LogQuery): LogLines;
  /** The lines so far, and from where to {@link follow} it. */
  soFar(query: LogQuery): Promise<Tail>;
  follow(position: LogPosition, query: LogQuery): LogLines;
}

/** `job` is the part of the prefix that names the replica; empty for the only one of a run. */
export function openLog(engine: Engine, info: ContainerInfo, job: string, signal: AbortSignal): ContainerLog {
  const source: LogSource = {
    engine,
    id: info.Id,
    signal,
    read: async function* (options) {
      try {
        yield* readEntries(await engine.logs(info.Id, options, signal));
      } catch (err) {
        if (err instanceof CodedError || err instanceof EngineRefusal) throw err;
        throw new CodedError("Unavailable", `The Docker engine interrupted the log: ${messageOf(err)}`, { cause: err });
      }
    },
  };
  const name = info.Config.Labels[LABEL_CONTAINER_NAME];
  const prefix = prefixOf(job, name === undefined ? "" : `[${name}]`);
  const begin = (): LogPosition => ({ cursor: new LogCursor(), joiner: new LineJoiner(prefix) });
  const readUntil = (count: number, query: LogQuery, keepOpen: boolean): Promise<Tail> => {
    const read = (tail?: number): AsyncIterable<LogEntry[]> =>
      source.read({ follow: false, ...(tail === undefined ? {} : { tail }) });
    return readTail({ count, since: sinceOf(query), prefix, read }, keepOpen);
  };
  const follow = ({ cursor, joiner }: LogPosition, query: LogQuery): LogLines =>
    laterThan(followed(source, cursor, joiner), sinceOf(query));

  return {
    async *read(query) {
      if (query.tailLines !== undefined) {
        const { lines, position } = await readUntil(query.tailLines, query, query.follow === true);
        yield* lines;
        if (query.follow) yield* follow(position, query);
      } else if (query.follow) {
        yield* follow(begin(), query);
      } else {
        const marks = { job, toArchive: query.toArchive === true };
        yield* laterThan(inTimeOrder(whole(source, begin().joiner, new LogCapMeter(info), marks)), sinceOf(query));
      }
    },

    async soFar(query) {
      if (query.tailLines !== undefined) return readUntil(query.tailLines, query, true);
      const position = begin();
      return { lines: laterThan(inTimeOrder(untilNow(source, position)), sinceOf(query)), position };
    },

    follow,
  };
}

const sinceOf = ({ since }: LogQuery): string | undefined => (since === undefined ? undefined : logInstant(since));

const prefixOf = (job: string, container: string): string => (job + container === "" ? "" : `${job}${container} `);

/** Moves the position on. */
async function* untilNow(source: LogSource, { cursor, joiner }: LogPosition): LogLines {
  for await (const entries of source.read({ follow: false })) yield joiner.add(cursor.pass(entries));
}

/**
 * The whole log, with a mark at the end when its beginning may have been dropped. One that breaks off is an error, because it
 * can be read again, unless it is `toArchive` and its container was removed or the engine cannot read the log: then it is marked.
 */
async function* whole(
  source: LogSource,
  joiner: LineJoiner,
  meter: LogCapMeter,
  { job, toArchive }: { job: string; toArchive: boolean },
): LogLines {
  let last = ZERO_INSTANT;
  try {
    for await (const entries of source.read({ follow: false })) {
      meter.count(entries);
      last = entries.at(-1)?.at ?? last;
      const lines = joiner.add(entries);
      if (lines.length > 0) yield lines;
    }
  } catch (err) {
    if (!toArchive || source.signal.aborted) throw err;
    const unreadable = err instanceof CodedError && err.cause instanceof UnreadableLogError ? err.cause : undefined;
    const isThere = (await inspectSurely(source.engine, source.id)) !== undefined;
    if (isThere && !unreadable) throw err;
    const mark = isThere && unreadable ? unreadableMark(last, job, unreadable.message) : brokenOffMark(last, job);
    yield [...joiner.end(true), mark];
    return;
  }
  yield meter.mayBeCut ? [...joiner.end(true), cutMark(last, job)] : joiner.end(false);
}

/** The last output of an ended container: the engine can end a followed stream before it has sent that. */
async function* missed(read: LogSource["read"], cursor: LogCursor, joiner: LineJoiner): LogLines {
  // To read from an instant on, the engine scans the whole log; to read its end, it does not.
  const last: LogEntry[] = [];
  for await (const entries of read({ follow: false, tail: MISSED_ENTRIES })) last.push(...entries);
  const rest = cursor.after(last);
  if (rest) {
    yield sortByTime(joiner.add(rest));
    return;
  }
  for await (const entries of read({ follow: false, ...cursor.resume() })) {
    yield sortByTime(joiner.add(cursor.pass(entries)));
  }
}

/** Continues from the cursor until the container has ended and all its output was passed on. */
async function* followed({ engine, id, signal, read }: LogSource, cursor: LogCursor, joiner: LineJoiner): LogLines {
  let lostAtMs: number | undefined;
  for (;;) {
    try {
      for await (const entries of read({ follow: true, ...cursor.resume() })) {
        lostAtMs = undefined;
        const lines = sortByTime(joiner.add(cursor.pass(entries)));
        if (lines.length > 0) yield lines;
      }
      // A stream that ends while the container runs has been cut.
      const info = await engine.inspect(id);
      if (!info?.State.Running) {
        yield* missed(read, cursor, joiner);
        break;
      }
    } catch (err) {
      if (err instanceof EngineRefusal && err.statusCode === 404) break;
      lostAtMs ??= Date.now();
      if (signal.aborted || err instanceof EngineRefusal || Date.now() - lostAtMs > RESUME_MS) throw err;
    }
    await sleep(RESUME_AGAIN_MS, undefined, { signal });
  }
  yield joiner.end(false);
}
