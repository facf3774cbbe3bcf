import { CodedError } from "../../model/errors.ts";
import type { OverdueRun } from "../../model/ports/records.ts";
import { isTerminal } from "../../model/run/run.ts";
import { recordEnd } from "../end.ts";
import { endOutside, stopped, type StoppedRun } from "./outside.ts";
import type { Repairing } from "./ports.ts";
import { isToBeEnded, overdueDuty, type OverdueDuty } from "./rules.ts";

/** Delivers cancels again, and carries out cancels and deadlines that their workflows have not carried out in time. */
export async function repairOverdue(repairing: Repairing, deliver: boolean): Promise<void> {
  const { runs, workflows, starts, ends } = repairing;
  for (const run of await runs.overdue()) {
    const duty = overdueDuty(run);
    if (isToBeEnded(duty)) {
      ends.offer({ run, fault: "cancel or deadline not carried out" }, () => carryOut(repairing, run, duty));
    }
    if (duty === "deliver" && deliver) {
      starts.offer({ run, fault: "cancel not delivered" }, () => workflows.cancel(run));
    }
  }
}

/** Ends the run as its workflow would have. While the cluster does not answer, the run waits for up to a day. */
async function carryOut(repairing: Repairing, overdue: OverdueRun, duty: OverdueDuty): Promise<void> {
  const { runs } = repairing;
  const run = await runs.load(overdue);
  if (isTerminal(run.status)) return;
  let ended: Omit<StoppedRun, "byItself">;
  try {
    const { byItself: _byItself, ...replicas } = await stopped(repairing, run);
    ended = replicas;
  } catch (err) {
    const why = err instanceof CodedError ? err.message : "the cluster refused to";
    if (duty === "giveUp") {
      const statusReason = `The container could not be stopped for 24 hours: ${why}`;
      await recordEnd(
        repairing,
        run,
        { status: "Failed", statusReason, finishedAt: new Date().toISOString() },
        "outside",
      );
    } else {
      await runs.recordReason(run, `Waiting to stop the container: ${why}`);
    }
    throw err;
  }
  await endOutside(repairing, run, { ...ended, timedOut: overdue.sinceDeadlineMs !== undefined });
}
