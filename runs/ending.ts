import { Readable } from "node:stream";
import { END_BLOB, END_FAILED } from "../buffers/format/buffer-format.ts";
import { bufferParametersOf } from "../model/codespec/codespec.ts";
import type { ComputeReader, ComputeWriter } from "../model/ports/compute.ts";
import { CodedError, notFound } from "../model/errors.ts";
import { outcomeOf, type Outcome, type ReplicaState } from "../model/run/lifecycle.ts";
import type { LogArchive, LogLines } from "../model/ports/log.ts";
import type { RunRecords } from "../model/ports/records.ts";
import { deadlineOf, isTerminal, type RunRecord } from "../model/run/run.ts";
import type { BufferStore } from "../model/ports/store.ts";

/** An hour is more than the longest log takes; a stalled engine must not hold an archive for ever. */
const ARCHIVE_LIMIT_MS = 3_600_000;

export interface EndingPorts {
  runs: RunRecords;
  compute: ComputeWriter;
  logs: Pick<ComputeReader, "logs">;
  archive: LogArchive;
  store: BufferStore;
  /** Runs of the cluster that may be live at once. */
  maxLiveRuns: number;
  /** Tells the workflows of these runs that a slot is free for them. */
  offerSlots(runIds: readonly number[]): Promise<void>;
}

/** What is known of a run when it is over. */
export interface RunEnding {
  replica: ReplicaState;
  cancelRequestedAt?: string;
  failure?: string;
  timedOut?: boolean;
}

/** @throws CodedError NotFound */
export async function loadRun(runs: RunRecords, runId: number): Promise<RunRecord> {
  const run = await runs.find(runId);
  if (!run) throw notFound();
  return run;
}

/**
 * Records the terminal state, gives every output an end mark, and passes the run's slot on. Repeating it keeps the
 * state that was recorded first, which it gives.
 */
export async function concludeRun(ports: EndingPorts, runId: number, ending: RunEnding): Promise<RunRecord> {
  const { runs } = ports;
  const run = await loadRun(runs, runId);
  const outcome = outcomeOf({
    replica: ending.replica,
    cancelRequestedAt: run.cancelRequestedAt ?? ending.cancelRequestedAt,
    deadlineAt: deadlineOf(run),
    failure: ending.failure,
    timedOut: ending.timedOut,
    nowAt: new Date().toISOString(),
  });
  const ended = await runs.finish(runId, outcome);
  if (ended.status !== "Succeeded") await markOutputsFailed(ports.store, ended);
  await ports.offerSlots(await runs.nextToAdmit(ports.maxLiveRuns));
  return ended;
}

/**
 * Archives the logs, then removes what the run left in the engine; never the other way round.
 * @throws Error when the logs take longer than `limitMs`
 */
export async function archiveRun(ports: EndingPorts, run: RunRecord, limitMs = ARCHIVE_LIMIT_MS): Promise<void> {
  if (run.archivedAt === undefined) {
    const signal = AbortSignal.timeout(limitMs);
    await ports.archive.write(run.id, wholly(ports.logs.logs(run, {}, signal), signal));
    await ports.runs.recordArchived(run.id);
  }
  await ports.compute.remove(run);
}

/** A log that is no longer wanted ends without an error: what came of it until then must not pass for all of it. */
async function* wholly(lines: LogLines, signal: AbortSignal): LogLines {
  yield* lines;
  signal.throwIfAborted();
}

/** How a run that has ended did. */
export function recordedOutcome(run: RunRecord): Outcome {
  if (!isTerminal(run.status)) throw new Error("A finished row has no terminal status");
  return {
    status: run.status,
    ...(run.statusReason === undefined ? {} : { statusReason: run.statusReason }),
    ...(run.startedAt === undefined ? {} : { startedAt: run.startedAt }),
    ...(run.finishedAt === undefined ? {} : { finishedAt: run.finishedAt }),
  };
}

/** Writes `.bufferend` = failed where an output has no end mark, so that no reader waits for ever. */
async function markOutputsFailed(store: BufferStore, run: RunRecord): Promise<void> {
  for (const { name, direction } of bufferParametersOf(run.job.codespec)) {
    const bufferId = run.job.buffers?.[name];
    if (direction === "input" || bufferId === undefined) continue;
    try {
      await store.put(bufferId, END_BLOB, Readable.from([Buffer.from(END_FAILED)]), { metadata: {} });
    } catch (err) {
      const isThere = err instanceof CodedError && err.code === "UnauthorizedBlobOverwrite";
      const isPurged = err instanceof CodedError && err.code === "ContainerNotFound";
      if (!isThere && !isPurged) throw err;
    }
  }
}
