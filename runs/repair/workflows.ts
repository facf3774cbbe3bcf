import type { RunTrace } from "../../model/ports/compute.ts";
import type { RunState } from "../../model/ports/records.ts";
import type { WorkflowPhase } from "../../model/ports/workflows.ts";
import { isSameRun, textOf, type RunIdentity } from "../../model/run/identity.ts";
import { isTerminal } from "../../model/run/run.ts";
import { archiveLater, endOutside, isArchivePending, settleOutside, stopped } from "./outside.ts";
import type { OpenWorkflows } from "./open-workflows.ts";
import type { LostRun, Repairing } from "./ports.ts";
import { isToBeEnded, overdueDuty } from "./rules.ts";
import type { Sightings } from "./sightings.ts";
import { startWorkflow } from "./starts.ts";

/** Why a run is ended whose workflow no longer exists. */
const REASONS: Record<Exclude<WorkflowPhase, "Open" | "Gone" | "Foreign">, string> = {
  Canceled: "The workflow of the run was canceled without recording how the run ended",
  Terminated: "The workflow of the run was terminated",
  Failed: "The workflow of the run failed",
  Completed: "The workflow of the run ended without recording how the run ended",
};
/** A workflow ends within a second of its archive: one that is open for longer does not end by itself. */
const IDLE_MS = 20_000;

/** Repeats what ends from outside owe. */
export async function repairOutside(repairing: Repairing): Promise<void> {
  const { runs, ends } = repairing;
  for (const { endedBy, ...run } of await runs.unarchived()) {
    if (endedBy === "outside" && !isArchivePending(repairing, run)) {
      ends.offer({ run, fault: "ended run not cleaned up" }, () => settleOutside(repairing, run));
    }
  }
}

/**
 * Compares the rows with all open workflows, and with what the engine has: open rows without an open workflow, ended rows
 * that their closed workflows left behind, workflows that have nothing left to do, and lost runs.
 */
export async function repairWorkflows(
  repairing: Repairing,
  listed: OpenWorkflows,
  idle: Sightings,
  survey: () => Promise<readonly RunTrace[]>,
): Promise<void> {
  const { runs, workflows, ends } = repairing;
  // First the rows: a run that is there has had its workflow since before the list.
  const [open, unarchived, overdue] = await Promise.all([runs.open(), runs.unarchived(), runs.overdue()]);
  const openWorkflows = await listed.read(workflows, open.length);
  const isListed = (run: RunIdentity): boolean => isSameRun(run, openWorkflows.get(run.id) ?? { id: 0 });

  // Those are ended by their cancel or deadline, which needs no Temporal: a run gets one heal at a time.
  const ending = new Set(overdue.filter((run) => isToBeEnded(overdueDuty(run))).map(textOf));
  for (const run of open.filter((one) => !isListed(one) && !ending.has(textOf(one)))) {
    ends.offer({ run, fault: "run without an open workflow" }, () => repairOrphan(repairing, run));
  }
  for (const { endedBy, ...run } of unarchived) {
    if (endedBy === "outside" || isListed(run) || isArchivePending(repairing, run)) continue;
    ends.offer({ run, fault: "logs not archived" }, async () => {
      if ((await workflows.phaseOf(run)) !== "Open") archiveLater(repairing, run);
    });
  }

  const live = new Set(open.map(textOf));
  const others = [...openWorkflows.values()].filter((run) => !live.has(textOf(run)));
  const traces = (await survey()).filter((run) => !live.has(textOf(run)));
  const states = await statesOf(repairing, [...others, ...traces]);
  const isArchived = (run: RunIdentity): boolean => states.get(textOf(run))?.phase === "Archived";
  repairIdle(repairing, idle, others.filter(isArchived));
  for (const run of traces.filter((trace) => isArchived(trace) && !isListed(trace))) {
    ends.offer({ run, fault: "containers or folders left over" }, () => removeLeftovers(repairing, run));
  }
  const executing = traces.filter(({ containers }) => containers === "Executing" || containers === "Partly");
  repairing.reportLost(lostOf([...others, ...executing], states));
}

/** The rows of these runs, by their text; none for a run that is not in the database, even if its number is. */
async function statesOf({ runs }: Repairing, asked: readonly RunIdentity[]): Promise<Map<string, RunState>> {
  const states = await runs.states([...new Set(asked.map(({ id }) => id))]);
  return new Map(states.map((state) => [textOf(state), state]));
}

/** Of a run with both a job and a workflow, first its job: a workflow that then stays open is listed the next time. */
const lostOf = (executing: readonly (RunIdentity & Partial<RunTrace>)[], states: Map<string, RunState>): LostRun[] =>
  [...new Map(executing.map((run) => [textOf(run), run])).entries()]
    .filter(([key]) => !states.has(key))
    .map(([, { containers: _containers, started: _started, ...lost }]) => lost);

/** Ends an open run whose workflow is closed from its container's state; one whose workflow is gone gets a new one. */
async function repairOrphan(repairing: Repairing, identity: RunIdentity): Promise<void> {
  const { workflows, runs } = repairing;
  const phase = await workflows.phaseOf(identity);
  if (phase === "Open") return;
  // Launch claims keep a second workflow from launching a second container. One of another run is a conflict.
  if (phase === "Gone" || phase === "Foreign") return startWorkflow(repairing, identity);
  const run = await runs.load(identity);
  if (isTerminal(run.status)) return;
  const { byItself, ...ended } = await stopped(repairing, run);
  await endOutside(repairing, run, { ...ended, ...(byItself ? {} : { failure: REASONS[phase] }) });
}

/** Terminates workflows that have been open for a while although everything about their runs is done. */
function repairIdle({ starts, workflows }: Repairing, idle: Sightings, done: readonly RunIdentity[]): void {
  idle.keep(done);
  for (const run of done) {
    if (idle.see(run) < IDLE_MS) continue;
    starts.offer({ run, fault: "workflow of an ended run still open" }, () =>
      workflows.terminate(run, "The run has ended and its logs are archived: this workflow had nothing left to do"),
    );
  }
}

async function removeLeftovers({ runs, workflows, compute }: Repairing, identity: RunIdentity): Promise<void> {
  // An open workflow removes them itself.
  if ((await workflows.phaseOf(identity)) !== "Open") await compute.remove(await runs.load(identity));
}
