import { messageOf } from "../model/errors.ts";
import type { EndedBy } from "../model/ports/records.ts";
import { outcomeOf, type FailureCause, type Outcome } from "../model/run/lifecycle.ts";
import type { RunIdentity } from "../model/run/identity.ts";
import { decidingState, type ReplicaStates } from "../model/run/replicas.ts";
import { deadlineOf, isTerminal, type RunRecord } from "../model/run/run.ts";
import { offerFreeSlots, type AdmissionPorts } from "./admit.ts";
import { settleOutputs, type OutputPorts } from "./outputs.ts";

export interface EndPorts extends AdmissionPorts {
  store: OutputPorts["store"];
  log: { warn(facts: object, message: string): void };
}

/** Everything known about a run when it is over. */
export interface RunEnding {
  replicas: ReplicaStates;
  /** The replica that failed first by itself, as far as it was known before the others were stopped. */
  failed?: number;
  /** A cancel that need not be in the row yet. */
  cancelRequested?: boolean;
  /** When a workflow of an older version learned of a cancel. */
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
): Promise<EndedRun> {
  const loaded = await ports.runs.load(identity);
  const run = ending.cancelRequested ? ((await ports.runs.requestCancel(loaded.id)) ?? loaded) : loaded;
  const cancelRequestedAt = run.cancelRequestedAt ?? ending.cancelRequestedAt;
  const deadlineAt = deadlineOf(run);
  const before = earlierOf(cancelRequestedAt, deadlineAt);
  const { index, state: replica } = decidingState(ending.replicas, ending.failed, before);
  const outcome = outcomeOf({
    replica,
    index: run.replicaCount > 1 ? index : undefined,
    cancelRequestedAt,
    deadlineAt,
    failure: ending.failure,
    timedOut: ending.timedOut,
    ...(loaded.startedAt === undefined ? { waiting: loaded.statusReason } : {}),
    nowAt: new Date().toISOString(),
  });
  return recordEnd(ports, run, outcome, by);
}

const earlierOf = (cancelRequestedAt: string | undefined, deadlineAt: string): string =>
  cancelRequestedAt !== undefined && Date.parse(cancelRequestedAt) < Date.parse(deadlineAt)
    ? cancelRequestedAt
    : deadlineAt;

/**
 * Records the terminal state, gives every output an end mark, and offers the run's slot to another. Repeating it keeps
 * the state that was recorded first, and returns it.
 */
export async function recordEnd(ports: EndPorts, run: RunIdentity, outcome: Outcome, by: EndedBy): Promise<EndedRun> {
  const ended = await ports.runs.finish(run, outcome, by);
  await Promise.all([
    ifPossible(ports, ended, "the outputs of the run have no end marks yet", () => settleOutputs(ports, ended)),
    ifPossible(ports, ended, "the slot of the run is not offered yet", () => offerFreeSlots(ports)),
  ]);
  const isOurs = ended.status === outcome.status && ended.statusReason === outcome.statusReason;
  return isOurs && outcome.cause !== undefined ? { ...ended, cause: outcome.cause } : ended;
}

/** An ended run, with the cause of a failure while it is known. */
export interface EndedRun extends RunRecord {
  cause?: FailureCause;
}

/** The recorded outcome of an ended run. */
export function recordedOutcome(run: EndedRun): Outcome {
  if (!isTerminal(run.status)) throw new Error("A finished row has no terminal status");
  return {
    status: run.status,
    ...(run.statusReason === undefined ? {} : { statusReason: run.statusReason }),
    ...(run.startedAt === undefined ? {} : { startedAt: run.startedAt }),
    ...(run.finishedAt === undefined ? {} : { finishedAt: run.finishedAt }),
    ...(run.cause === undefined ? {} : { cause: run.cause }),
  };
}

/** A full disk or a lost connection holds up neither the end nor the other step: the reconciler does what is left over. */
async function ifPossible({ log }: EndPorts, run: RunRecord, failed: string, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (err) {
    log.warn({ runId: run.id, reason: messageOf(err) }, failed);
  }
}
