import { Buffer } from "node:buffer";
import { setTimeout as sleep } from "node:timers/promises";
import type { ComputeReader } from "../../model/ports/compute.ts";
import type { LogArchive, LogLine, LogLines, LogQuery } from "../../model/ports/log.ts";
import type { RunRecords } from "../../model/ports/records.ts";
import { isTerminal, type RunRecord } from "../../model/run/run.ts";
import { createLogProgress, type LogProgress } from "./log-progress.ts";
import type { RunChanges } from "./run-changes.ts";
import { findPatiently } from "./run-watch.ts";

export interface LogPorts {
  runs: Pick<RunRecords, "find">;
  changes: RunChanges;
  compute: Pick<ComputeReader, "logs">;
  archive: Pick<LogArchive, "read">;
}

/** How long a followed log may go on after its run ended, if a container does. */
const AFTER_END_MS = 3000;
/** A change that was not announced is seen by then. */
const REREAD_MS = 10_000;
/** Between two looks for a container that is not there yet; a change of the run cuts the wait short. */
const LOOK_MS = { first: 50, most: 1000 } as const;
/** An engine that is away after the run has ended is asked this often, a second apart. */
const TRIES_AFTER_END = 10;

/**
 * The log of a run, from the engine while it is there and from the archive afterwards. Where the one is replaced by
 * the other in between, no line is missing and none comes twice.
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
      const archived = await ports.archive.read(row.id, progress.query());
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
    // Containers go only after their log is archived: still unarchived, what was read was whole.
    if ((await findPatiently(ports.runs, row.id, signal))?.archivedAt === undefined) return;
  }
}

/** Lines as they come until the run is terminal; containers may start late, and an engine may be away in between. */
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
        // The engine is away or the container is going; the next look tells.
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

/** Aborts `over` a while after the run has ended, unless `signal` ends the wait before. */
async function abortAfterEnd(
  runs: Pick<RunRecords, "find">,
  changes: RunChanges,
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

/** The bytes of lines, each with its instant before it if asked for. */
export async function* bytesOf(lines: LogLines, timestamps: boolean): AsyncGenerator<Uint8Array> {
  for await (const batch of lines) {
    if (batch.length === 0) continue;
    yield Buffer.concat(batch.flatMap(({ at, bytes }) => (timestamps ? [Buffer.from(`${at} `), bytes] : [bytes])));
  }
}
