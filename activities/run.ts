import { log } from "@temporalio/activity";
import { END_BLOB, END_FAILED } from "../model/buffer-format.ts";
import { bufferParametersOf } from "../model/codespec.ts";
import type { ComputeReader, ComputeWriter } from "../model/compute.ts";
import { CodedError, notFound } from "../model/errors.ts";
import { outcomeOf, type Outcome, type ReplicaState } from "../model/lifecycle.ts";
import type { LogArchive } from "../model/log.ts";
import type { RunRecords } from "../model/records.ts";
import { deadlineOf, isTerminal, type RunRecord } from "../model/run.ts";
import type { BufferStore } from "../model/store.ts";
import { Readable } from "node:stream";
import { heartbeating, withFailures } from "./failures.ts";

export interface RunActivityPorts {
  runs: RunRecords;
  compute: ComputeWriter;
  logs: Pick<ComputeReader, "logs">;
  archive: LogArchive;
  store: BufferStore;
  /** Runs of the cluster that may be live at once. */
  maxLiveRuns: number;
  /** Tells the workflows of these runs that a place is free for them. */
  announcePlaces(runIds: readonly number[]): Promise<void>;
  /** Whether the namespace has our search attributes; upserting unknown ones would fail the workflow. */
  hasSearchAttributes: boolean;
}

/** What a workflow needs to know of its run. Nothing of what the run executes enters history. */
export interface RunPlan {
  /** The row is terminal already: a reset or repeated workflow has nothing to do. */
  isOver: boolean;
  admitted: boolean;
  cancelRequested: boolean;
  deadlineAt: string;
  /** `name/versions/N`; absent for an inline codespec. */
  codespecRef?: string;
  hasSearchAttributes: boolean;
}

/** What the workflow knows when it is over. */
export interface WorkflowEnding {
  replica: ReplicaState;
  cancelRequestedAt?: string;
  failure?: string;
  timedOut?: boolean;
}

export type RunActivities = ReturnType<typeof runActivities>;

/** The steps of a run. Each may be repeated; the workflow's policy is what retries. */
export function runActivities(ports: RunActivityPorts) {
  const { runs, compute, store } = ports;
  const load = async (runId: number): Promise<RunRecord> => {
    const run = await runs.find(runId);
    if (!run) throw notFound();
    return run;
  };

  return {
    /** Reads the run's deadline and asks for its place among the live ones. */
    plan: (runId: number): Promise<RunPlan> =>
      withFailures(async () => {
        const run = await load(runId);
        const isOver = isTerminal(run.status);
        return {
          isOver,
          admitted: !isOver && (await runs.admit(runId, ports.maxLiveRuns)),
          cancelRequested: run.cancelRequestedAt !== undefined,
          deadlineAt: deadlineOf(run),
          ...(run.codespecRef === undefined ? {} : { codespecRef: run.codespecRef }),
          hasSearchAttributes: ports.hasSearchAttributes,
        };
      }),

    /** Launches at most once: a second call finds the first one's claim and reports what became of it. */
    launch: (runId: number): Promise<ReplicaState> =>
      heartbeating(async () => {
        const run = await load(runId);
        await compute.provision(run);
        const replica = await compute.launch(run);
        const { phase, startedAt } = replica.container;
        if (phase === "Running" || phase === "Exited") await runs.recordRunning(runId, run.revision + 1, startedAt);
        log.info("container launched", { runId, image: run.job.codespec.image });
        return replica;
      }),

    /** Ends the container and gives what was observed at its end. */
    stop: (runId: number): Promise<ReplicaState> => heartbeating(async () => compute.stop(await load(runId))),

    /** Records the terminal state, gives every output an end mark, and passes the run's place on. */
    conclude: (runId: number, ending: WorkflowEnding): Promise<Outcome> =>
      heartbeating(async () => {
        const run = await load(runId);
        const outcome = outcomeOf({
          replica: ending.replica,
          cancelRequestedAt: run.cancelRequestedAt ?? ending.cancelRequestedAt,
          deadlineAt: deadlineOf(run),
          failure: ending.failure,
          timedOut: ending.timedOut,
          nowAt: new Date().toISOString(),
        });
        const ended = await runs.finish(runId, outcome);
        log.info("run ended", { runId, status: ended.status });
        if (ended.status !== "Succeeded") await markOutputsFailed(store, ended);
        await ports.announcePlaces(await runs.nextToAdmit(ports.maxLiveRuns));
        return recordedOutcome(ended);
      }),

    /** Archives the logs, then removes what the run left in the engine; never the other way round. */
    archive: (runId: number): Promise<void> =>
      heartbeating(async () => {
        const run = await load(runId);
        if (run.archivedAt === undefined) {
          await ports.archive.write(runId, ports.logs.logs(run, {}, AbortSignal.timeout(3_600_000)));
          await runs.recordArchived(runId);
        }
        await compute.remove(run);
      }),

    /** Gives the logs up for lost after a day of failing, so that the engine can be cleaned. */
    discard: (runId: number): Promise<void> =>
      heartbeating(async () => {
        const run = await load(runId);
        log.warn("logs are lost: they could not be archived for a day", { runId });
        await runs.recordArchived(runId);
        await compute.remove(run);
      }),
  };
}

function recordedOutcome(run: RunRecord): Outcome {
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
