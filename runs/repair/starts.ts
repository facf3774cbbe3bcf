import { CodedError } from "../../model/errors.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import { offerFreeSlots } from "../admit.ts";
import { endOutside, stopped } from "./outside.ts";
import type { Repairing } from "./ports.ts";

/** Starts the workflows of rows that have none. */
export async function repairUnstarted(repairing: Repairing): Promise<void> {
  const { runs, workflows, starts, ends, log } = repairing;
  for (const run of await runs.unstarted()) {
    starts.offer({ run, fault: "run without a workflow" }, async () => {
      try {
        await workflows.start(await runs.load(run));
      } catch (err) {
        if (!(err instanceof CodedError) || err.code !== "Conflict") throw err;
        const { message } = err;
        return ends.offer({ run, fault: "run whose workflow is another's" }, () => endForeign(repairing, run, message));
      }
      await runs.recordWorkflowStarted(run.id);
      log.info({ runId: run.id }, "started the workflow of a run that had none");
    });
  }
}

/** Ends a run that can have no workflow, because another run has the one with its number. */
export async function endForeign(repairing: Repairing, identity: RunIdentity, failure: string): Promise<void> {
  const run = await repairing.runs.load(identity);
  const { replica } = await stopped(repairing, run);
  await endOutside(repairing, run, { replica, failure });
}

/** Keeps alive what belongs to no run: the cluster's watcher, and the offers of free slots to queued runs. */
export function keepAlive(repairing: Repairing): void {
  const { starts, workflows } = repairing;
  starts.offer({ fault: "no watcher" }, () => workflows.startWatcher());
  starts.offer({ fault: "free slots not offered" }, () => offerFreeSlots(repairing));
}
