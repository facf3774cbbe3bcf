import { setTimeout as sleep } from "node:timers/promises";
import type { ComputeReader, LaunchClaims } from "../../model/ports/compute.ts";
import { CodedError, messageOf } from "../../model/errors.ts";
import { poll } from "../../waiting/bounded.ts";
import { logInstant } from "../../model/time/instant.ts";
import { ZERO_INSTANT, type LogLines, type LogQuery } from "../../model/ports/log.ts";
import { containerNameOf } from "../../model/run/names.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { LABEL_CONTAINER_NAME } from "../launch/container-spec.ts";
import { isContainerOf, wasStarted } from "../launch/container-state.ts";
import { inspectSurely } from "../launch/gone.ts";
import { REPLICA } from "../launch/replica.ts";
import { EngineRefusal } from "../engine/engine-call.ts";
import { connectEngine, type ContainerInfo, type Engine, type LogStreamOptions } from "../engine/engine.ts";
import { brokenOffMark, cutMark, LogCapMeter, removedMark } from "./log-cap.ts";
import { LogCursor } from "./log-cursor.ts";
import { readEntries, type LogEntry } from "./log-entries.ts";
import { inTimeOrder, laterThan, LineJoiner, sortByTime } from "./log-lines.ts";
import { readTail } from "./log-tail.ts";

export interface DockerReaderOptions {
  installationId: string;
  dockerHost?: string | undefined;
  /** For logs that are archived: their containers are found by the ids in the claims. */
  claims?: Pick<LaunchClaims, "find"> | undefined;
}

const START_POLL_MS = 50;
/** How long to wait for an engine that goes away in the middle of a followed log. */
const RESUME_MS = 60_000;
const RESUME_AGAIN_MS = 100;
const MISSED_ENTRIES = 256;

/** Reads from the engine for the API; changes nothing. */
export function createDockerReader({ installationId, dockerHost, claims }: DockerReaderOptions): ComputeReader {
  const engine = connectEngine(dockerHost);
  return {
    hasImage: (image) => engine.hasImage(image),

    hasGpu: async () => (await engine.gpu()).available,

    async *logs(run, query, signal) {
      try {
        if (query.toArchive) return yield* archivedLogOf(engine, { installationId, claims }, run, signal);
        const info = await startedContainer(engine, installationId, run, query.follow === true, signal);
        if (info) yield* logOf(engine, info, query, signal);
      } catch (err) {
        if (!signal.aborted) throw err;
      }
    },
  };
}

/** The log of the run's container, or the mark of one that was removed after its start; nothing if none was started. */
async function* archivedLogOf(
  engine: Engine,
  { installationId, claims }: Pick<DockerReaderOptions, "installationId" | "claims">,
  run: RunRecord,
  signal: AbortSignal,
): LogLines {
  const claim = await claims?.find(run, REPLICA);
  const id = claim?.containerId ?? containerNameOf(installationId, run.id);
  const info = run.startedAt === undefined ? await engine.inspect(id) : await inspectSurely(engine, id);
  if (info && isContainerOf(info, installationId, run)) {
    if (wasStarted(info)) yield* logOf(engine, info, { toArchive: true }, signal);
  } else if (run.startedAt !== undefined) {
    yield [removedMark(logInstant(run.finishedAt ?? run.startedAt))];
  }
}

/** The container of the run, once it has been started; when following, waits for one that was only created. */
async function startedContainer(
  engine: Engine,
  installationId: string,
  run: RunRecord,
  follow: boolean,
  signal: AbortSignal,
): Promise<ContainerInfo | undefined> {
  const look = async (): Promise<ContainerInfo | "none" | undefined> => {
    const info = await engine.inspect(containerNameOf(installationId, run.id));
    if (!info || !isContainerOf(info, installationId, run)) return "none";
    return wasStarted(info) ? info : undefined;
  };
  const seen = await poll(look, { everyMs: START_POLL_MS, withinMs: follow ? Infinity : 0, signal });
  return seen === "none" ? undefined : seen;
}

/** One container's log and the state of the engine that holds it. */
interface LogSource {
  engine: Engine;
  id: string;
  signal: AbortSignal;
  read: (options: LogStreamOptions) => AsyncGenerator<LogEntry[]>;
}

async function* logOf(engine: Engine, info: ContainerInfo, query: LogQuery, signal: AbortSignal): LogLines {
  const since = query.since === undefined ? undefined : logInstant(query.since);
  const name = info.Config.Labels[LABEL_CONTAINER_NAME];
  const prefix = name === undefined ? "" : `[${name}] `;
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

  if (query.tailLines !== undefined) {
    const read = (tail?: number): AsyncIterable<LogEntry[]> =>
      source.read({ follow: false, ...(tail === undefined ? {} : { tail }) });
    const follow = query.follow === true;
    const { lines, position } = await readTail({ count: query.tailLines, since, prefix, read }, follow);
    yield* lines;
    if (follow) yield* laterThan(followed(source, position.cursor, position.joiner), since);
  } else if (query.follow) {
    yield* laterThan(followed(source, new LogCursor(), new LineJoiner(prefix)), since);
  } else {
    const lines = whole(source, new LineJoiner(prefix), new LogCapMeter(info), query.toArchive === true);
    yield* laterThan(inTimeOrder(lines), since);
  }
}

/**
 * The whole log, with a mark at the end when its beginning may have been dropped. One that breaks off is an error, because it
 * can be read again, unless it is `toArchive` and its container was removed: then it is marked.
 */
async function* whole(source: LogSource, joiner: LineJoiner, meter: LogCapMeter, toArchive: boolean): LogLines {
  let last = ZERO_INSTANT;
  try {
    for await (const entries of source.read({ follow: false })) {
      meter.count(entries);
      last = entries.at(-1)?.at ?? last;
      const lines = joiner.add(entries);
      if (lines.length > 0) yield lines;
    }
  } catch (err) {
    if (!toArchive || source.signal.aborted || (await inspectSurely(source.engine, source.id))) throw err;
    yield [...joiner.end(true), brokenOffMark(last)];
    return;
  }
  yield meter.mayBeCut ? [...joiner.end(true), cutMark(last)] : joiner.end(false);
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
