import { messageOf } from "../../model/errors.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import {
  areSettled,
  changesIn,
  firstFailed,
  indexesOf,
  withChanges,
  type ReplicaStates,
} from "../../model/run/replicas.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { archiveRun, ARCHIVE_LIMIT_MS, discardLogs } from "../archive.ts";
import { endRun, recordedOutcome, recordEnd, type RunEnding } from "../end.ts";
import { observeAll, stopAll } from "../replicas.ts";
import type { Repairing } from "./ports.ts";

/** Logs that could not be archived for this long are given up, as the workflow does. */
const DISCARD_MS = 24 * 3_600_000;

/** The replicas at their end, and how they came to it. */
export interface StoppedRun {
  replicas: ReplicaStates;
  /** Which one failed first by itself. */
  failed?: number;
  /** The run would have ended in any case: all replicas have ended, or one has failed. */
  byItself: boolean;
}

/** Ends the replicas that have not ended. @throws CodedError Unavailable */
export async function stopped({ compute }: Repairing, run: RunRecord): Promise<StoppedRun> {
  const seen = await observed(compute, run);
  const failed = firstFailed(seen);
  const deciding = failed === undefined ? seen : seen.slice(failed, failed + 1);
  const byItself = areSettled(deciding) && deciding.every(({ container }) => container.phase === "Exited");
  const isOver = areSettled(seen) && seen.every(({ container }) => container.phase === "Exited");
  const replicas = isOver ? seen : withChanges(seen, changesIn(await stopAll(compute, run)));
  return { replicas, byItself, ...(failed === undefined ? {} : { failed }) };
}

/** The replicas at this moment. A container that is gone no longer has the start that the row has. */
export async function observed(compute: Repairing["compute"], run: RunRecord): Promise<ReplicaStates> {
  const { startedAt, replicaCount } = run;
  const known: ReplicaState = { container: { phase: "Unknown", ...(startedAt === undefined ? {} : { startedAt }) } };
  return withChanges(
    indexesOf(replicaCount).map(() => known),
    changesIn(await observeAll(compute, run)),
  );
}

/** Ends an open run in place of its workflow, and cleans up after it. */
export async function endOutside(repairing: Repairing, run: RunRecord, ending: RunEnding): Promise<void> {
  const ended = await endRun(repairing, run, ending, "outside");
  const { status, statusReason } = ended;
  repairing.log.info({ runId: run.id, status, reason: statusReason }, "ended a run in place of its workflow");
  await cleanUp(repairing, ended);
}

/** Repeats all that an end from outside owes: the run can have ended while its cluster or Temporal did not answer. */
export async function settleOutside(repairing: Repairing, identity: RunIdentity): Promise<void> {
  // An end from outside in this moment has done the rest, and waits for its archive.
  if (isArchivePending(repairing, identity)) return;
  const run = await repairing.runs.load(identity);
  if (run.archivedAt !== undefined) return;
  await stopAll(repairing.compute, run);
  await cleanUp(repairing, await recordEnd(repairing, run, recordedOutcome(run), "outside"));
}

/** Never before the end is recorded: a workflow that was terminated by a user ends the run with another reason. */
async function cleanUp(repairing: Repairing, ended: RunRecord): Promise<void> {
  const { status, statusReason } = ended;
  const reason = statusReason === undefined ? status : `${status}: ${statusReason}`;
  try {
    await repairing.workflows.terminate(ended, `The reconciler ended the run in place of this workflow: ${reason}`);
  } catch (err) {
    // Without Temporal the rest is still done; a workflow that stays open is terminated later.
    repairing.log.warn({ runId: ended.id, reason: messageOf(err) }, "could not terminate the workflow of an ended run");
  }
  archiveLater(repairing, ended);
}

const ARCHIVE_FAULT = "logs not archived";

/** Whether the run is in the queue of archives. */
export const isArchivePending = ({ archives }: Repairing, run: RunIdentity): boolean =>
  archives.isPending({ run, fault: ARCHIVE_FAULT });

/** Archives in a queue of its own, because a long log takes minutes; then removes what the run left in the engine. */
export function archiveLater(repairing: Repairing, run: RunIdentity): void {
  const { archives, runs, stopping, log } = repairing;
  archives.offer({ run, fault: ARCHIVE_FAULT }, async (failingForMs) => {
    const ended = await runs.load(run);
    if (failingForMs < DISCARD_MS) {
      await archiveRun(repairing, ended, AbortSignal.any([stopping, AbortSignal.timeout(ARCHIVE_LIMIT_MS)]));
    } else {
      log.warn({ runId: run.id }, "logs are lost: they could not be archived for a day");
      await discardLogs(repairing, ended);
    }
  });
}
