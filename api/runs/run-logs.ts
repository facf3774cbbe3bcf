import { Buffer } from "node:buffer";
import { setTimeout as sleep } from "node:timers/promises";
import type { ComputeReader } from "../../model/ports/compute.ts";
import type { LogArchive, LogLine, LogLines, LogQuery } from "../../model/ports/log.ts";
import type { RunRecords } from "../../model/ports/records.ts";
import { isTerminal, type RunRecord } from "../../model/run/run.ts";
import { createLogProgress, type LogProgress } from "./log-progress.ts";
import type { Changes } from "../../waiting/changes.ts";
import { findPatiently } from "./run-watch.ts";

export interface LogPorts {
  runs: Pick<RunRecords, "find">;
  changes: Changes<number>;
  compute: Pick<ComputeReader, "logs">;
  archive: Pick<LogArchive, "read">;
}

/** How long a followed log can continue after its run ended, while a container still runs. */
const AFTER_END_MS = 3000;
/** A change without a notification is seen by then. */
const REREAD_MS = 10_000;
/** Between two checks for a container that does not exist yet; a change of the run ends the wait early. */
const LOOK_MS = { first: 50, most: 1000 } as const;
/** An engine that is down after the run has ended is asked this many times, a second apart. */
const TRIES_AFTER_END = 10;

/**
 * The log of a run, from the engine while it is there and from the archive afterwards. When the archive replaces
 * the engine in between, no line is missing and none is repeated.
 */
export async function* readLogs(
  ports: LogPorts,
  run: RunRecord,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<readonly LogLine[]> {
  const progress = createLogProgress(query);
  if (query.follow === true && !isTerminal(run.status)) {
    yield* followUntilEnd(ports, run, progress, signal);
  }
  for (let tries = 1; !signal.aborted; tries++) {
    const row = await findPatiently(ports.runs, run.id, signal);
    if (row === undefined) return;
    if (row.archivedAt !== undefined) {
      const archived = await ports.archive.read(row, progress.query());
      if (archived !== undefined) yield* progress.pass(archived);
      return;
    }
    try {
      yield* progress.pass(ports.compute.logs(row, progress.query(), signal));
    } catch (err) {
      if ((await ports.runs.find(row.id))?.archivedAt === undefined) {
        if (query.follow !== true || tries >= TRIES_AFTER_END) throw err;
        await sleep(1000, undefined, { signal }).catch(() => undefined);
      }
      continue;
    }
    // Containers are removed only after their log is archived: while it is not, the log that was read is whole.
    if ((await findPatiently(ports.runs, row.id, signal))?.archivedAt === undefined) return;
  }
}

/** Lines as they arrive until the run is terminal. Containers can start late, and the engine can be down in between. */
async function* followUntilEnd(
  { runs, changes, compute }: LogPorts,
  first: RunRecord,
  progress: LogProgress,
  signal: AbortSignal,
): AsyncGenerator<readonly LogLine[]> {
  const subscription = changes.subscribe(first.id);
  let lookMs: number = LOOK_MS.first;
  try {
    let run: RunRecord | undefined = first;
    while (run !== undefined && !isTerminal(run.status) && !signal.aborted) {
      const before = progress.count();
      const over = new AbortController();
      const both = AbortSignal.any([signal, over.signal]);
      const ended = abortAfterEnd(runs, changes, run.id, over, both);
      try {
        yield* progress.pass(compute.logs(run, { ...progress.query(), follow: true }, both));
      } catch {
        // The engine is down or the container is being removed; the next check shows which.
      } finally {
        over.abort();
        await ended;
      }
      lookMs = progress.count() > before ? LOOK_MS.first : Math.min(lookMs * 2, LOOK_MS.most);
      await subscription.changed(lookMs, signal);
      run = await findPatiently(runs, run.id, signal);
    }
  } finally {
    subscription.close();
  }
}

/** Aborts `over` a while after the run has ended, unless `signal` ends the wait first. */
async function abortAfterEnd(
  runs: Pick<RunRecords, "find">,
  changes: Changes<number>,
  id: number,
  over: AbortController,
  signal: AbortSignal,
): Promise<void> {
  const subscription = changes.subscribe(id);
  try {
    while (!signal.aborted) {
      const run = await findPatiently(runs, id, signal);
      if (run === undefined || isTerminal(run.status)) break;
      await subscription.changed(REREAD_MS, signal);
    }
    await sleep(AFTER_END_MS, undefined, { signal }).catch(() => undefined);
    over.abort();
  } finally {
    subscription.close();
  }
}

/** The bytes of lines, each after its instant if `timestamps` is set. */
export async function* bytesOf(lines: LogLines, timestamps: boolean): AsyncGenerator<Uint8Array> {
  for await (const batch of lines) {
    if (batch.length === 0) continue;
    yield Buffer.concat(batch.flatMap(({ at, bytes }) => (timestamps ? [Buffer.from(`${at} `), bytes] : [bytes])));
  }
}
