import { setTimeout as sleep } from "node:timers/promises";
import { CodedError } from "../../model/errors.ts";
import { lastOf } from "../../model/log/merged-log.ts";
import type { LogLine, LogLines, LogQuery } from "../../model/ports/log.ts";
import { logInstant } from "../../model/time/instant.ts";
import type { Kube } from "../client/kube.ts";
import { MAIN } from "../spec/main-container.ts";
import type { Pod } from "../spec/wire.ts";
import { prefixed } from "./log-lines.ts";
import { lateMark, lostMark, mayLackStart } from "./log-marks.ts";
import { hasEnded, openNodeLog } from "./node-log.ts";
import { firstInstantOf, LogReading, type StoredLog } from "./stored-log.ts";

/** The log of a container that was started: the parts that were stored of it, and the rest from its node. */
export interface PodLog {
  read(query: LogQuery): LogLines;
  /** The lines so far, and from where to {@link follow} it once they have been read. */
  soFar(query: LogQuery): { lines: LogLines; reading: LogReading };
  follow(reading: LogReading, query: LogQuery): LogLines;
}

export interface PodLogOptions {
  kube: Kube;
  pod: Pod;
  container: string;
  /** Before each line. */
  prefix: string;
  stored: StoredLog;
}

const REOPEN_MS = 250;
/** How long to wait for a cluster that goes away in the middle of a followed log. */
const RESUME_MS = 60_000;

export function openPodLog({ kube, pod, container, prefix, stored }: PodLogOptions, signal: AbortSignal): PodLog {
  const node = openNodeLog(kube, pod, container, signal);
  const isOver = hasEnded(pod, container);

  /** The lines of the node that are new. Those that it has dropped can have been stored meanwhile. */
  async function* fromNode(reading: LogReading, query: { follow: boolean; isOver: boolean; since?: string }): LogLines {
    for (let isBehind = true; isBehind;) {
      isBehind = false;
      const sinceTime = reading.position.resume() ?? secondOf(query.since);
      for await (const batch of node.lines({ follow: query.follow, isOver: query.isOver, sinceTime })) {
        const ahead = reading.position.copy();
        const { lines, mayLack } = ahead.pass(batch);
        if (mayLack) {
          const { part } = reading;
          yield* reading.stored(stored, {});
          isBehind = reading.part > part;
          if (isBehind) break;
          yield [lostMark(reading.position.lastAt)];
        }
        reading.moveTo(ahead);
        if (lines.length > 0) yield lines;
      }
    }
  }

  const storedLater = (reading: LogReading, since: string | undefined, tailLines?: number): LogLines =>
    reading.stored(stored, { since: since === undefined ? undefined : logInstant(since), tailLines });

  async function* whole(reading: LogReading, { since, tailLines, toArchive }: LogQuery): LogLines {
    yield* storedLater(reading, since, tailLines);
    let isFirst = toArchive === true && container === MAIN && reading.part === 0;
    for await (const lines of fromNode(reading, { follow: false, isOver, ...(since === undefined ? {} : { since }) })) {
      if (isFirst) yield* markStart(pod, container, lines);
      isFirst = false;
      yield lines;
    }
  }

  async function* soFar(query: LogQuery, reading: LogReading): LogLines {
    const { tailLines } = query;
    if (tailLines === undefined) return yield* whole(reading, query);
    // Also for none: the last line shows where the log continues.
    const count = Math.max(1, tailLines);
    const last = await node.lastLines(count, isOver);
    if (last.length < count) {
      // A node begins a new file now and then, and has only that one.
      yield [...(await lastOf(tailLines, whole(reading, query)))];
      return;
    }
    const position = reading.position.copy();
    position.pass(last);
    reading.moveTo(position);
    if (tailLines > 0) yield last;
  }

  /**
   * Continues until the container has ended. A stream that ends earlier is opened again: its file was rotated, or the cluster was
   * away.
   */
  async function* onward(reading: LogReading, since: string | undefined): LogLines {
    let isEnd = isOver;
    let lostAtMs: number | undefined;
    if (reading.isFresh) yield* storedLater(reading, since);
    for (;;) {
      try {
        yield* fromNode(reading, { follow: true, isOver: isEnd, ...(since === undefined ? {} : { since }) });
        // Only a stream that was opened after the end has everything.
        if (isEnd) return;
        const state = await node.state();
        if (state === "gone") return;
        isEnd = state === "ended";
        lostAtMs = undefined;
      } catch (err) {
        if (!(err instanceof CodedError) || err.code !== "Unavailable" || signal.aborted) throw err;
        lostAtMs ??= performance.now();
        if (performance.now() - lostAtMs > RESUME_MS) throw err;
      }
      if (!isEnd || lostAtMs !== undefined) await sleep(REOPEN_MS, undefined, { signal });
    }
  }

  const shown = (lines: LogLines, since: string | undefined): LogLines => prefixed(prefix, laterThan(lines, since));
  return {
    async *read(query) {
      const { lines, reading } = this.soFar(query);
      if (!query.follow || query.tailLines !== undefined) yield* lines;
      if (query.follow) yield* this.follow(reading, query);
    },

    soFar(query) {
      const reading = new LogReading();
      return { lines: shown(soFar(query, reading), query.since), reading };
    },

    follow: (reading, { since }) => shown(onward(reading, since), since),
  };
}

/** A mark where the node may have dropped the beginning before anything was stored. */
function* markStart({ status }: Pod, container: string, lines: readonly LogLine[]): Generator<readonly LogLine[]> {
  const state = status?.containerStatuses?.find(({ name }) => name === container)?.state?.terminated;
  const firstAt = firstInstantOf(lines);
  if (!state?.startedAt || !state.finishedAt || firstAt === undefined) return;
  const { startedAt, finishedAt } = state;
  if (mayLackStart({ startedAt, readAtMs: Date.parse(finishedAt), firstAt })) yield [lateMark(firstAt)];
}

const secondOf = (instant: string | undefined): string | undefined =>
  instant === undefined ? undefined : `${logInstant(instant).slice(0, 19)}Z`;

async function* laterThan(lines: LogLines, since: string | undefined): LogLines {
  const from = since === undefined ? undefined : logInstant(since);
  for await (const batch of lines) {
    const wanted = from === undefined ? batch : batch.filter(({ at }) => at > from);
    if (wanted.length > 0) yield wanted;
  }
}
