import { log } from "@temporalio/activity";
import type { Outcome, ReplicaState } from "../model/run/lifecycle.ts";
import { messageOf } from "../model/errors.ts";
import { deadlineOf, isTerminal } from "../model/run/run.ts";
import { archiveRun, concludeRun, loadRun, recordedOutcome, type EndingPorts, type RunEnding } from "../runs/ending.ts";
import { heartbeating, withFailures } from "./failures.ts";

/** Well within the time of the activity that records how the run ended. */
const ARCHIVE_AT_ONCE_MS = 10_000;

export interface RunActivityPorts extends EndingPorts {
  /** Whether the namespace has our search attributes; upserting unknown ones would fail the workflow. */
  hasSearchAttributes: boolean;
}

/** What a workflow needs to know of its run. Nothing of what the run executes enters history. */
export interface RunPlan {
  /** The row is terminal already: a reset or repeated workflow has nothing to do. */
  isOver: boolean;
  admitted: boolean;
  cancelRequested: boolean;
  deadlineAt: string;
  /** `name/versions/N`; absent for an inline codespec. */
  codespecRef?: string;
  hasSearchAttributes: boolean;
}

export interface Conclusion extends Outcome {
  /** The logs are archived and the engine is clean; where this is missing, both are still to be done. */
  isArchived?: true;
}

export type RunActivities = ReturnType<typeof runActivities>;

/** The steps of a run. Each may be repeated; the workflow's policy is what retries. */
export function runActivities(ports: RunActivityPorts) {
  const { runs, compute } = ports;

  return {
    /** Reads the run's deadline and asks for its place among the live ones. */
    plan: (runId: number): Promise<RunPlan> =>
      withFailures(async () => {
        const run = await loadRun(runs, runId);
        const isOver = isTerminal(run.status);
        return {
          isOver,
          admitted: !isOver && (await runs.admit(runId, ports.maxLiveRuns)),
          cancelRequested: run.cancelRequestedAt !== undefined,
          deadlineAt: deadlineOf(run),
          ...(run.codespecRef === undefined ? {} : { codespecRef: run.codespecRef }),
          hasSearchAttributes: ports.hasSearchAttributes,
        };
      }),

    /** Launches at most once: a second call finds the first one's claim and reports what became of it. */
    launch: (runId: number): Promise<ReplicaState> =>
      heartbeating(async () => {
        const run = await loadRun(runs, runId);
        await compute.provision(run);
        const replica = await compute.launch(run);
        const { phase, startedAt } = replica.container;
        if (phase === "Running" || phase === "Exited") await runs.recordRunning(runId, run.revision + 1, startedAt);
        log.info("container launched", { runId, image: run.job.codespec.image });
        return replica;
      }),

    /** Ends the container and gives what was observed at its end. */
    stop: (runId: number): Promise<ReplicaState> => heartbeating(async () => compute.stop(await loadRun(runs, runId))),

    /** Records the terminal state. Most logs are short, and are archived here too: an activity costs more than they do. */
    conclude: (runId: number, ending: RunEnding): Promise<Conclusion> =>
      heartbeating(async () => {
        const ended = await concludeRun(ports, runId, ending);
        const outcome = recordedOutcome(ended);
        log.info("run ended", { runId, status: outcome.status });
        try {
          await archiveRun(ports, ended, ARCHIVE_AT_ONCE_MS);
          return { ...outcome, isArchived: true };
        } catch (err) {
          log.warn("the logs are not archived yet", { runId, reason: messageOf(err) });
          return outcome;
        }
      }),

    archive: (runId: number): Promise<void> => heartbeating(async () => archiveRun(ports, await loadRun(runs, runId))),

    /** Gives the logs up for lost after a day of failing, so that the engine can be cleaned. */
    discard: (runId: number): Promise<void> =>
      heartbeating(async () => {
        log.warn("logs are lost: they could not be archived for a day", { runId });
        await runs.recordArchived(runId);
        await compute.remove(await loadRun(runs, runId));
      }),
  };
}
