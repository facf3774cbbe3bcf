import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { archiveRun, concludeRun, loadRun, type EndingPorts } from "../runs/ending.ts";
import { messageOf } from "../model/errors.ts";
import { isSettled, later } from "../model/run/lifecycle.ts";
import type { RunWorkflows, WorkflowPhase } from "../model/ports/workflows.ts";

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

/** One case that heals by itself: its failure does not hold up the others. */
async function attempt(ports: ReconcilerPorts, runId: number, what: string, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (err) {
    ports.log.warn({ runId, reason: messageOf(err) }, `not healed: ${what}`);
  }
}

/** What has not begun: rows without a workflow, and slots that are free. */
export async function reconcileStarts(ports: ReconcilerPorts): Promise<void> {
  const { runs, workflows, log } = ports;
  for (const id of await runs.unstarted()) {
    await attempt(ports, id, "a run without a workflow", async () => {
      await workflows.start(id);
      await runs.recordWorkflowStarted(id);
      log.info({ runId: id }, "started the workflow of a run that had none");
    });
  }
  await ports.offerSlots(await runs.nextToAdmit(ports.maxLiveRuns));
}

/**
 * What has not come to its end: cancels unheeded, open rows whose workflow is closed or gone, ended rows whose logs are
 * not archived, what is left in the engine. All open workflows are listed for it.
 */
export async function reconcileEnds(ports: ReconcilerPorts): Promise<void> {
  const { runs, workflows } = ports;
  const archiveById = async (id: number): Promise<void> => archiveRun(ports, await loadRun(runs, id));
  const open = await runs.open();
  const openWorkflows = await workflows.openIds();
  for (const run of open) {
    if (openWorkflows.has(run.id)) {
      if (run.cancelRequestedAt !== undefined)
        await attempt(ports, run.id, "an unheeded cancel", () => workflows.cancel(run.id));
    } else {
      await attempt(ports, run.id, "a run whose workflow is not open", () => healOrphan(run.id, ports));
    }
  }
  for (const id of await runs.unarchived()) {
    if (openWorkflows.has(id) || (await workflows.phaseOf(id)) === "Open") continue;
    await attempt(ports, id, "logs that are not archived", () => archiveById(id));
  }
  const live = new Set(open.map(({ id }) => id));
  for (const id of await ports.compute.leftovers()) {
    if (live.has(id) || openWorkflows.has(id) || (await workflows.phaseOf(id)) === "Open") continue;
    await attempt(ports, id, "containers or folders left over", () => archiveById(id));
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
  const ended = await concludeRun(ports, runId, {
    replica,
    ...(settled ? {} : { failure: REASONS[phase] }),
  });
  ports.log.info({ runId, status: ended.status, workflow: phase }, "ended a run whose workflow was closed");
  await archiveRun(ports, ended);
}

/**
 * Runs passes until `signal` is aborted: over the starts each time, over the ends in the first and each `endsEvery` after
 * it, for these cost most where many runs wait. `takeLock` says whether this worker is the one that reconciles.
 */
export async function reconcileForever(
  ports: ReconcilerPorts,
  { everyMs, endsEvery }: { everyMs: number; endsEvery: number },
  takeLock: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  let passes = 0;
  while (!signal.aborted) {
    try {
      if (await takeLock()) {
        await reconcileStarts(ports);
        if (passes % endsEvery === 0) await reconcileEnds(ports);
        passes += 1;
      }
    } catch (err) {
      ports.log.warn({ reason: messageOf(err) }, "a reconciler pass failed");
    }
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}
