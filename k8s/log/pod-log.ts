import { setTimeout as sleep } from "node:timers/promises";
import { CodedError } from "../../model/errors.ts";
import { lastOf } from "../../model/log/merged-log.ts";
import { ZERO_INSTANT, type LogLine, type LogLines, type LogQuery } from "../../model/ports/log.ts";
import { logInstant } from "../../model/time/instant.ts";
import { isRefused, type Kube } from "../client/kube.ts";
import { MAIN } from "../spec/main-container.ts";
import type { Pod } from "../spec/wire.ts";
import { logLinesOf } from "./log-lines.ts";
import { lostMark } from "./log-marks.ts";
import { LogOverlap } from "./log-overlap.ts";

/** The log of the job container of a pod that was started. */
export interface PodLog {
  read(query: LogQuery): LogLines;
  /** The lines so far, and from where to {@link follow} it once they have been read. */
  soFar(query: LogQuery): { lines: LogLines; position: LogOverlap };
  follow(position: LogOverlap, query: LogQuery): LogLines;
}

const REOPEN_MS = 250;
/** How long to wait for a cluster that goes away in the middle of a followed log. */
const RESUME_MS = 60_000;

/** `prefix` goes before each line. */
export function openPodLog(kube: Kube, pod: Pod, prefix: string, signal: AbortSignal): PodLog {
  const { name = "", uid } = pod.metadata ?? {};

  async function* part(follow: boolean, options: { tailLines?: number; sinceTime?: string | undefined }): LogLines {
    try {
      const body = await kube.podLog(name, { container: MAIN, follow, ...options }, signal);
      yield* logLinesOf(body as AsyncIterable<Buffer>, prefix);
    } catch (err) {
      // The container is not started yet, or its pod is gone.
      if (isRefused(err, 400) || isRefused(err, 404)) return;
      throw err instanceof CodedError || signal.aborted ? err : kube.unavailable(err);
    }
  }

  /** The last `count` lines. The node counts pieces of long lines, and can begin in the middle of one. */
  async function lastLines(count: number): Promise<readonly LogLine[]> {
    const lines: LogLine[] = [];
    for await (const batch of part(false, { tailLines: count + 1 })) lines.push(...batch);
    return lines.length > count ? lines.slice(-count) : lastOf(count, part(false, {}));
  }

  async function* soFar({ tailLines, since }: LogQuery, position: LogOverlap): LogLines {
    if (tailLines !== undefined) {
      // Also for none: the last line shows where the log continues.
      const last = position.pass(await lastLines(Math.max(1, tailLines))).lines;
      if (tailLines > 0) yield last;
      return;
    }
    for await (const lines of part(false, { sinceTime: secondOf(since) })) yield position.pass(lines).lines;
  }

  /**
   * Continues until the container has ended. A stream that ends earlier is opened again: its file was rotated, or the cluster was
   * away.
   */
  async function* onward(position: LogOverlap, since: string | undefined): LogLines {
    let last = ZERO_INSTANT;
    let hasEnded = false;
    let lostAtMs: number | undefined;
    for (;;) {
      try {
        for await (const batch of part(true, { sinceTime: position.resume() ?? secondOf(since) })) {
          const { lines, mayLack } = position.pass(batch);
          if (mayLack) yield [lostMark(last, prefix)];
          last = lines.at(-1)?.at ?? last;
          if (lines.length > 0) yield lines;
        }
        // Only a stream that was opened after the end has everything.
        if (hasEnded) return;
        const now = await kube.findPod(name);
        if (!now || now.metadata?.uid !== uid) return;
        hasEnded = wasEnded(now);
        lostAtMs = undefined;
      } catch (err) {
        if (!(err instanceof CodedError) || err.code !== "Unavailable" || signal.aborted) throw err;
        lostAtMs ??= performance.now();
        if (performance.now() - lostAtMs > RESUME_MS) throw err;
      }
      if (!hasEnded || lostAtMs !== undefined) await sleep(REOPEN_MS, undefined, { signal });
    }
  }

  return {
    async *read(query) {
      const { lines, position } = this.soFar(query);
      if (!query.follow || query.tailLines !== undefined) yield* lines;
      if (query.follow) yield* this.follow(position, query);
    },

    soFar(query) {
      const position = new LogOverlap();
      return { lines: laterThan(soFar(query, position), query.since), position };
    },

    follow: (position, { since }) => laterThan(onward(position, since), since),
  };
}

/** A container of which the cluster still says that it runs can have ended a moment ago, and the other way round never. */
function wasEnded({ status }: Pod): boolean {
  const main = status?.containerStatuses?.find(({ name }) => name === MAIN);
  return main?.state?.running === undefined;
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
