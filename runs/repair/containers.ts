import { messageOf } from "../../model/errors.ts";
import type { RunTrace } from "../../model/ports/compute.ts";
import { isSameRun, textOf, type RunIdentity } from "../../model/run/identity.ts";
import { isSettled, later } from "../../model/run/lifecycle.ts";
import { isTerminal } from "../../model/run/run.ts";
import { endOutside, known } from "./outside.ts";
import type { Repairing } from "./ports.ts";
import { settledDuty, sinceExitMs } from "./rules.ts";
import type { Sightings } from "./sightings.ts";

/** Open runs whose containers and pumps have ended. */
export interface SettledRuns {
  settled: Sightings;
  /** Since their end was reported to their workflow again. */
  reported: Sightings;
}

/** Finds open runs whose containers have all ended, whether or not a watcher or Temporal is there. */
export async function repairEnded(
  repairing: Repairing,
  seen: SettledRuns,
  survey: () => Promise<readonly RunTrace[]>,
): Promise<void> {
  const ended = (await survey()).filter(({ containers }) => containers === "Ended");
  const states = await repairing.runs.states(ended.map(({ id }) => id));
  const open = states.filter((run) => run.phase === "Open" && ended.some((trace) => isSameRun(trace, run)));
  for (const run of open) offerLook(repairing, seen, run);
}

/** Finds runs that ran and of which the engine has no container any more. */
export async function repairMissing(
  repairing: Repairing,
  seen: SettledRuns,
  survey: () => Promise<readonly RunTrace[]>,
): Promise<void> {
  // First the rows: a run that is there has had its container since before the survey.
  const open = await repairing.runs.open();
  const withContainers = new Set((await survey()).filter(({ containers }) => containers !== "None").map(textOf));
  for (const run of open) if (run.isRunning && !withContainers.has(textOf(run))) offerLook(repairing, seen, run);
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
  const replica = later(known(run), await compute.observe(run));
  // A pump that still stores bytes has not ended.
  if (!isSettled(replica)) return seen.settled.forget(identity);
  const settledForMs = Math.max(seen.settled.see(identity), sinceExitMs(replica.container, Date.now()));
  const duty = settledDuty(settledForMs, seen.reported.ageMs(identity));
  if (duty === "report") {
    seen.reported.see(identity);
    try {
      await workflows.reportReplica(identity, replica);
    } catch (err) {
      log.warn({ runId: run.id, reason: messageOf(err) }, "could not report the end of a container again");
    }
  }
  if (duty === "end") await endOutside(repairing, run, { replica });
}
