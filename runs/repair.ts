import { messageOf } from "../model/errors.ts";
import type { ComputeWriter } from "../model/ports/compute.ts";
import type { RunWorkflows, WorkflowPhase } from "../model/ports/workflows.ts";
import { isSettled, later } from "../model/run/lifecycle.ts";
import { offerFreeSlots } from "./admit.ts";
import { archiveRun, type ArchivePorts } from "./archive.ts";
import { endRun, type EndPorts } from "./end.ts";

export interface RepairPorts extends EndPorts, Omit<ArchivePorts, "runs" | "compute"> {
  compute: ComputeWriter;
  workflows: RunWorkflows;
  log: { info(facts: object, message: string): void; warn(facts: object, message: string): void };
}

/** Why a run is ended whose workflow no longer exists. */
const REASONS: Record<Exclude<WorkflowPhase, "Open" | "Gone">, string> = {
  Terminated: "The workflow of the run was terminated",
  Failed: "The workflow of the run failed",
  Completed: "The workflow of the run ended without recording how the run ended",
};

/** One repair: if it fails, the others are still made. */
async function attempt(ports: RepairPorts, runId: number, fault: string, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (err) {
    ports.log.warn({ runId, reason: messageOf(err) }, `could not repair: ${fault}`);
  }
}

/** Starts what has not begun: rows without a workflow, and queued runs for which a slot is free. */
export async function repairStarts(ports: RepairPorts): Promise<void> {
  const { runs, workflows, log } = ports;
  for (const id of await runs.unstarted()) {
    await attempt(ports, id, "run without a workflow", async () => {
      await workflows.start(id);
      await runs.recordWorkflowStarted(id);
      log.info({ runId: id }, "started the workflow of a run that had none");
    });
  }
  await offerFreeSlots(ports);
}

/**
 * Ends what should have ended: cancels that were not delivered, open rows whose workflow is closed or gone, ended rows
 * whose logs are not archived, and leftovers in the engine. Lists all open workflows.
 */
export async function repairEnds(ports: RepairPorts): Promise<void> {
  const { runs, workflows } = ports;
  const archiveById = async (id: number): Promise<void> => archiveRun(ports, await runs.load(id));
  const open = await runs.open();
  const openWorkflows = await workflows.openIds();
  for (const run of open) {
    if (openWorkflows.has(run.id)) {
      if (run.cancelRequestedAt !== undefined)
        await attempt(ports, run.id, "cancel not delivered", () => workflows.cancel(run.id));
    } else {
      await attempt(ports, run.id, "run without an open workflow", () => repairOrphan(run.id, ports));
    }
  }
  for (const id of await runs.unarchived()) {
    if (openWorkflows.has(id) || (await workflows.phaseOf(id)) === "Open") continue;
    await attempt(ports, id, "logs not archived", () => archiveById(id));
  }
  const live = new Set(open.map(({ id }) => id));
  for (const id of await ports.compute.leftovers()) {
    if (live.has(id) || openWorkflows.has(id) || (await workflows.phaseOf(id)) === "Open") continue;
    await attempt(ports, id, "containers or folders left over", () => archiveById(id));
  }
}

/** Ends an open run whose workflow is closed from its container's state; one whose workflow is gone gets a new one. */
async function repairOrphan(runId: number, ports: RepairPorts): Promise<void> {
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
  const ended = await endRun(ports, runId, {
    replica,
    ...(settled ? {} : { failure: REASONS[phase] }),
  });
  ports.log.info({ runId, status: ended.status, workflow: phase }, "ended a run whose workflow was closed");
  await archiveRun(ports, ended);
}
