import { messageOf } from "../../model/errors.ts";
import type { RunTrace } from "../../model/ports/compute.ts";
import { isSameRun, textOf, type RunIdentity } from "../../model/run/identity.ts";
import { areDecisive, areSettled, changesIn, decidingState, firstFailed } from "../../model/run/replicas.ts";
import { deadlineOf, isTerminal } from "../../model/run/run.ts";
import { endOutside, observed, stopped } from "./outside.ts";
import type { Repairing } from "./ports.ts";
import { settledDuty, sinceExitMs } from "./rules.ts";
import type { Sightings } from "./sightings.ts";

/** Open runs whose containers and pumps have ended, or one of which has failed. */
export interface SettledRuns {
  settled: Sightings;
  /** Since their end was reported to their workflow again. */
  reported: Sightings;
}

/**
 * Finds open runs whose containers have all ended, whether or not a watcher or Temporal is there. A whole pass also looks at
 * those of which some have ended: one of these can have failed.
 */
export async function repairEnded(
  repairing: Repairing,
  seen: SettledRuns,
  survey: () => Promise<readonly RunTrace[]>,
  isWhole: boolean,
): Promise<void> {
  const isToBeSeen = ({ containers }: RunTrace) => containers === "Ended" || (isWhole && containers === "Partly");
  const ended = (await survey()).filter(isToBeSeen);
  const states = await repairing.runs.states(ended.map(({ id }) => id));
  const open = states.filter((run) => run.phase === "Open" && ended.some((trace) => isSameRun(trace, run)));
  for (const run of open) offerLook(repairing, seen, run);
}

/** Finds runs that ran and of which the engine has not all containers any more, or not yet. */
export async function repairMissing(
  repairing: Repairing,
  seen: SettledRuns,
  survey: () => Promise<readonly RunTrace[]>,
): Promise<void> {
  // First the rows: a run that is there has had its container since before the survey.
  const open = await repairing.runs.open();
  const started = new Map((await survey()).map((trace) => [textOf(trace), trace.started]));
  for (const run of open) {
    if (run.isRunning && (started.get(textOf(run)) ?? 0) < run.replicaCount) offerLook(repairing, seen, run);
  }
  for (const sightings of [seen.settled, seen.reported]) sightings.keep(open);
}

function offerLook(repairing: Repairing, seen: SettledRuns, { id, uid }: RunIdentity): void {
  const run = { id, ...(uid === undefined ? {} : { uid }) };
  repairing.ends.offer({ run, fault: "end of the containers not noticed" }, () => lookAtEnd(repairing, seen, run));
}

/** Reports the end of a run's containers to its workflow again; if that does not help, ends the run. */
async function lookAtEnd(repairing: Repairing, seen: SettledRuns, identity: RunIdentity): Promise<void> {
  const { runs, compute, workflows, log } = repairing;
  const run = await runs.load(identity);
  if (isTerminal(run.status)) return;
  const replicas = await observed(compute, run);
  // A pump that still stores bytes has not ended.
  if (!areDecisive(replicas)) return seen.settled.forget(identity);
  const failed = firstFailed(replicas);
  const { state } = decidingState(replicas, failed, deadlineOf(run));
  const settledForMs = Math.max(seen.settled.see(identity), sinceExitMs(state.container, Date.now()));
  const duty = settledDuty(settledForMs, seen.reported.ageMs(identity));
  if (duty === "report") {
    seen.reported.see(identity);
    try {
      await workflows.reportReplicas(identity, changesIn(replicas));
    } catch (err) {
      log.warn({ runId: run.id, reason: messageOf(err) }, "could not report the end of containers again");
    }
  }
  if (duty !== "end") return;
  if (areSettled(replicas))
    return endOutside(repairing, run, { replicas, ...(failed === undefined ? {} : { failed }) });
  const { byItself: _byItself, ...ended } = await stopped(repairing, run);
  await endOutside(repairing, run, ended);
}
