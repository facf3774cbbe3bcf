import { Readable } from "node:stream";
import { END_BLOB, END_FAILED } from "../buffers/format/buffer-format.ts";
import { bufferParametersOf } from "../model/codespec/codespec.ts";
import { CodedError } from "../model/errors.ts";
import type { EndedBy } from "../model/ports/records.ts";
import type { BufferStore } from "../model/ports/store.ts";
import { outcomeOf, type Outcome, type ReplicaState } from "../model/run/lifecycle.ts";
import type { RunIdentity } from "../model/run/identity.ts";
import { deadlineOf, isTerminal, type RunRecord } from "../model/run/run.ts";
import { offerFreeSlots, type AdmissionPorts } from "./admit.ts";

export interface EndPorts extends AdmissionPorts {
  store: BufferStore;
}

/** Everything known about a run when it is over. */
export interface RunEnding {
  replica: ReplicaState;
  cancelRequestedAt?: string;
  failure?: string;
  timedOut?: boolean;
}

/** Ends the run as everything known about it decides. @see recordEnd */
export async function endRun(
  ports: EndPorts,
  identity: RunIdentity,
  ending: RunEnding,
  by: EndedBy = "workflow",
): Promise<RunRecord> {
  const run = await ports.runs.load(identity);
  const outcome = outcomeOf({
    replica: ending.replica,
    cancelRequestedAt: run.cancelRequestedAt ?? ending.cancelRequestedAt,
    deadlineAt: deadlineOf(run),
    failure: ending.failure,
    timedOut: ending.timedOut,
    nowAt: new Date().toISOString(),
  });
  return recordEnd(ports, run, outcome, by);
}

/**
 * Records the terminal state, gives every output an end mark, and offers the run's slot to another. Repeating it keeps
 * the state that was recorded first, and returns it.
 */
export async function recordEnd(ports: EndPorts, run: RunIdentity, outcome: Outcome, by: EndedBy): Promise<RunRecord> {
  const ended = await ports.runs.finish(run, outcome, by);
  if (ended.status !== "Succeeded") await markOutputsFailed(ports.store, ended);
  // The reconciler offers it again.
  await offerFreeSlots(ports).catch(() => undefined);
  return ended;
}

/** The recorded outcome of an ended run. */
export function recordedOutcome(run: RunRecord): Outcome {
  if (!isTerminal(run.status)) throw new Error("A finished row has no terminal status");
  return {
    status: run.status,
    ...(run.statusReason === undefined ? {} : { statusReason: run.statusReason }),
    ...(run.startedAt === undefined ? {} : { startedAt: run.startedAt }),
    ...(run.finishedAt === undefined ? {} : { finishedAt: run.finishedAt }),
  };
}

/** Writes `.bufferend` = failed where an output has no end mark, so that no reader waits forever. */
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
