import { CodedError, messageOf } from "../model/errors.ts";
import type { ComputeWriter } from "../model/ports/compute.ts";
import type { RunWorkflows, WorkflowPhase } from "../model/ports/workflows.ts";
import { belongsToAnother, isSameRun, textOf, type RunIdentity } from "../model/run/identity.ts";
import { isSettled, later } from "../model/run/lifecycle.ts";
import { offerFreeSlots } from "./admit.ts";
import { archiveRun, type ArchivePorts } from "./archive.ts";
import { endRun, type EndPorts } from "./end.ts";

/** A run that executes and is not in the database, which was restored to a state from before it. */
export interface LostRun extends RunIdentity {
  /** Ends its job; absent when only its workflow is open. */
  endCommand?: string;
}

export interface RepairPorts extends EndPorts, Omit<ArchivePorts, "runs" | "compute"> {
  compute: ComputeWriter;
  workflows: RunWorkflows;
  /** Gets the lost runs that still execute, also when there are none. */
  reportLost: (lost: readonly LostRun[]) => void;
  log: { info(facts: object, message: string): void; warn(facts: object, message: string): void };
}

/** Why a run is ended whose workflow no longer exists. */
const REASONS: Record<Exclude<WorkflowPhase, "Open" | "Gone" | "Foreign">, string> = {
  Terminated: "The workflow of the run was terminated",
  Failed: "The workflow of the run failed",
  Completed: "The workflow of the run ended without recording how the run ended",
};

/** One repair: if it fails, the others are still made. */
async function attempt(
  ports: RepairPorts,
  { id: runId }: RunIdentity,
  fault: string,
  step: () => Promise<void>,
): Promise<void> {
  try {
    await step();
  } catch (err) {
    ports.log.warn({ runId, reason: messageOf(err) }, `could not repair: ${fault}`);
  }
}

/** Starts what has not begun: rows without a workflow, and queued runs for which a slot is free. */
export async function repairStarts(ports: RepairPorts): Promise<void> {
  const { runs, workflows, log } = ports;
  for (const run of await runs.unstarted()) {
    await attempt(ports, run, "run without a workflow", async () => {
      try {
        await workflows.start(run);
      } catch (err) {
        if (!(err instanceof CodedError) || err.code !== "Conflict") throw err;
        return endWithoutWorkflow(ports, run, err.message);
      }
      await runs.recordWorkflowStarted(run.id);
      log.info({ runId: run.id }, "started the workflow of a run that had none");
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
  const archive = async (run: RunIdentity): Promise<void> => archiveRun(ports, await runs.load(run));
  const open = await runs.open();
  const openWorkflows = await workflows.openRuns();
  const isListed = (run: RunIdentity): boolean => isSameRun(run, openWorkflows.get(run.id) ?? { id: 0 });
  for (const run of open) {
    if (!isListed(run)) await attempt(ports, run, "run without an open workflow", () => repairOrphan(run, ports));
  }
  for (const run of await runs.overdue()) {
    if (run.sinceCancelMs !== undefined && isListed(run))
      await attempt(ports, run, "cancel not delivered", () => workflows.cancel(run));
  }
  for (const run of await runs.unarchived()) {
    if (isListed(run) || (await workflows.phaseOf(run)) === "Open") continue;
    await attempt(ports, run, "logs not archived", () => archive(run));
  }
  const live = new Map(open.map((run) => [run.id, run]));
  const isLive = (run: RunIdentity): boolean => isSameRun(run, live.get(run.id) ?? { id: 0 });
  for (const left of await ports.compute.leftovers()) {
    if (isLive(left) || isListed(left)) continue;
    // A run of a lost timeline is not ours, even if its number is.
    const run = await runs.find(left.id);
    if (run === undefined || !isSameRun(run, left) || (await workflows.phaseOf(left)) === "Open") continue;
    await attempt(ports, left, "containers or folders left over", () => archive(left));
  }
  ports.reportLost(await lostRuns(ports, [...openWorkflows.values()], isLive));
}

async function lostRuns(
  { runs, compute }: RepairPorts,
  openWorkflows: readonly RunIdentity[],
  isLive: (run: RunIdentity) => boolean,
): Promise<LostRun[]> {
  const executing: LostRun[] = [...openWorkflows, ...(await compute.executing())];
  const lost: LostRun[] = [];
  // Of a run with both, first its job: a workflow that then stays open is listed the next time.
  for (const candidate of new Map(executing.map((run) => [textOf(run), run])).values()) {
    if (isLive(candidate)) continue;
    const run = await runs.find(candidate.id);
    if (run === undefined || !isSameRun(run, candidate)) lost.push(candidate);
  }
  return lost;
}

/** Ends an open run whose workflow is closed from its container's state; one whose workflow is gone gets a new one. */
async function repairOrphan(identity: RunIdentity, ports: RepairPorts): Promise<void> {
  const phase = await ports.workflows.phaseOf(identity);
  const runId = identity.id;
  if (phase === "Open") return;
  if (phase === "Gone") {
    // Launch claims keep a second workflow from launching a second container.
    await ports.workflows.start(identity);
    ports.log.info({ runId }, "started a new workflow for a run whose workflow was gone");
    return;
  }
  const run = await ports.runs.find(runId);
  if (run === undefined || !isSameRun(run, identity)) return;
  if (phase === "Foreign") return endWithoutWorkflow(ports, run, belongsToAnother("The workflow", runId));
  const seen = await ports.compute.observe(run);
  const settled = isSettled(seen) && seen.container.phase === "Exited";
  const replica = settled ? seen : later(seen, await ports.compute.stop(run));
  const ended = await endRun(ports, run, {
    replica,
    ...(settled ? {} : { failure: REASONS[phase] }),
  });
  ports.log.info({ runId, status: ended.status, workflow: phase }, "ended a run whose workflow was closed");
  await archiveRun(ports, ended);
}

/** Ends a run that can have no workflow, because another run has the one with its number. */
async function endWithoutWorkflow(ports: RepairPorts, identity: RunIdentity, failure: string): Promise<void> {
  const run = await ports.runs.load(identity);
  const replica = await ports.compute.stop(run);
  const ended = await endRun(ports, run, { replica, failure });
  ports.log.warn({ runId: run.id, reason: failure }, "ended a run whose number another run has");
  await archiveRun(ports, ended);
}
