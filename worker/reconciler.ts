import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { archiveRun, concludeRun, type EndingPorts } from "../activities/ending.ts";
import { messageOf } from "../model/errors.ts";
import { isSettled, later } from "../model/lifecycle.ts";
import type { RunWorkflows, WorkflowPhase } from "./temporal.ts";

export interface ReconcilerPorts extends EndingPorts {
  workflows: RunWorkflows;
  log: Logger;
}

/** Why a run whose workflow is no longer there is ended. */
const REASONS: Record<Exclude<WorkflowPhase, "Open" | "Gone">, string> = {
  Terminated: "The workflow of the run was terminated",
  Failed: "The workflow of the run failed",
  Completed: "The workflow of the run ended without recording how the run ended",
};

/**
 * One pass over all that may have been left half-done: rows without a workflow, cancels unheeded, open rows whose
 * workflow is closed or gone, ended rows whose logs are not archived, free places. Each case heals by itself; a
 * failure of one does not hold up the others.
 */
export async function reconcile(ports: ReconcilerPorts): Promise<void> {
  const { runs, workflows, log } = ports;
  const attempt = async (runId: number, what: string, step: () => Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (err) {
      log.warn({ runId, reason: messageOf(err) }, `not healed: ${what}`);
    }
  };

  for (const id of await runs.unstarted()) {
    await attempt(id, "a run without a workflow", async () => {
      await workflows.start(id);
      await runs.recordWorkflowStarted(id);
      log.info({ runId: id }, "started the workflow of a run that had none");
    });
  }
  await ports.announcePlaces(await runs.nextToAdmit(ports.maxLiveRuns));

  const open = await runs.open();
  const openWorkflows = await workflows.openIds();
  for (const run of open) {
    if (openWorkflows.has(run.id)) {
      if (run.cancelRequestedAt !== undefined)
        await attempt(run.id, "an unheeded cancel", () => workflows.cancel(run.id));
    } else {
      await attempt(run.id, "a run whose workflow is not open", () => healOrphan(run.id, ports));
    }
  }
  for (const id of await runs.unarchived()) {
    if (openWorkflows.has(id) || (await workflows.phaseOf(id)) === "Open") continue;
    await attempt(id, "logs that are not archived", () => archiveRun(ports, id));
  }
  const live = new Set(open.map(({ id }) => id));
  for (const id of await ports.compute.leftovers()) {
    if (live.has(id) || openWorkflows.has(id) || (await workflows.phaseOf(id)) === "Open") continue;
    await attempt(id, "containers or folders left over", () => archiveRun(ports, id));
  }
}

/** Ends an open run whose workflow is closed from what its container shows; one that is gone gets a new workflow. */
async function healOrphan(runId: number, ports: ReconcilerPorts): Promise<void> {
  const phase = await ports.workflows.phaseOf(runId);
  if (phase === "Open") return;
  if (phase === "Gone") {
    // Launch claims keep a second workflow from launching a second container.
    await ports.workflows.start(runId);
    ports.log.info({ runId }, "started a new workflow for a run whose workflow was gone");
    return;
  }
  const run = await ports.runs.find(runId);
  if (run === undefined) return;
  const seen = await ports.compute.observe(run);
  const settled = isSettled(seen) && seen.container.phase === "Exited";
  const replica = settled ? seen : later(seen, await ports.compute.stop(run));
  const { status } = await concludeRun(ports, runId, {
    replica,
    ...(settled ? {} : { failure: REASONS[phase] }),
  });
  ports.log.info({ runId, status, workflow: phase }, "ended a run whose workflow was closed");
  await archiveRun(ports, runId);
}

/** Runs passes until `signal` is aborted; `takeLock` says whether this worker is the one that reconciles. */
export async function reconcileForever(
  ports: ReconcilerPorts,
  everyMs: number,
  takeLock: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      if (await takeLock()) await reconcile(ports);
    } catch (err) {
      ports.log.warn({ reason: messageOf(err) }, "a reconciler pass failed");
    }
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}
