import { CodedError } from "../../model/errors.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import { isTerminal } from "../../model/run/run.ts";
import { offerFreeSlots } from "../admit.ts";
import { endOutside, stopped } from "./outside.ts";
import type { Repairing } from "./ports.ts";

/** Starts the workflows of rows that have none. */
export async function repairUnstarted(repairing: Repairing): Promise<void> {
  const { runs, starts } = repairing;
  for (const run of await runs.unstarted()) {
    starts.offer({ run, fault: "run without a workflow" }, () => startWorkflow(repairing, run));
  }
}

/** Starts the workflow of an open run; a run that can have none, because another one has its number, is ended. */
export async function startWorkflow(repairing: Repairing, identity: RunIdentity): Promise<void> {
  const { runs, workflows, ends, log } = repairing;
  const run = await runs.load(identity);
  if (isTerminal(run.status)) return;
  try {
    await workflows.start(run);
  } catch (err) {
    if (!(err instanceof CodedError) || err.code !== "Conflict") throw err;
    const { message: failure } = err;
    return ends.offer({ run: identity, fault: "run whose workflow is another's" }, async () => {
      const { byItself: _byItself, ...ended } = await stopped(repairing, run);
      await endOutside(repairing, run, { ...ended, failure });
    });
  }
  await runs.recordWorkflowStarted(run.id);
  log.info({ runId: run.id }, "started the workflow of a run that had none");
}

/** Keeps alive what belongs to no run: the cluster's watcher, and the offers of free slots to queued runs. */
export function keepAlive(repairing: Repairing): void {
  const { starts, workflows } = repairing;
  starts.offer({ fault: "no watcher" }, () => workflows.startWatcher());
  starts.offer({ fault: "free slots not offered" }, () => offerFreeSlots(repairing));
}
