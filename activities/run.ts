import { log } from "@temporalio/activity";
import { messageOf } from "../model/errors.ts";
import type { ComputeWriter } from "../model/ports/compute.ts";
import { identityOf, type RunReference } from "../model/run/identity.ts";
import type { Outcome, ReplicaState } from "../model/run/lifecycle.ts";
import { admitRun, type Admission } from "../runs/admit.ts";
import { archiveRun, discardLogs, type ArchivePorts } from "../runs/archive.ts";
import { endRun, recordedOutcome, type EndPorts, type RunEnding } from "../runs/end.ts";
import { launchRun } from "../runs/launch.ts";
import { heartbeating, withFailures } from "./failures.ts";

/** Well within the time of the activity that records how the run ended. */
const ARCHIVE_AT_ONCE_MS = 10_000;

export interface RunActivityPorts extends EndPorts, Omit<ArchivePorts, "runs" | "compute"> {
  compute: ComputeWriter;
  /** Whether the namespace has our search attributes; a workflow that sets unknown ones fails. */
  hasSearchAttributes: boolean;
}

/** The facts that a workflow needs about its run. Nothing that the run executes enters history. */
export interface RunPlan extends Admission {
  hasSearchAttributes: boolean;
}

export interface Conclusion extends Outcome {
  /** The logs are archived and the engine is clean; without this, both are still to be done. */
  isArchived?: true;
}

export type { RunEnding };

export type RunActivities = ReturnType<typeof runActivities>;

/** The steps of a run. Each can be repeated; the workflow's policy is what retries. Their names are part of the wire. */
export function runActivities(ports: RunActivityPorts) {
  const { runs, compute, hasSearchAttributes } = ports;

  return {
    plan: (ref: RunReference): Promise<RunPlan> =>
      withFailures(async () => ({ ...(await admitRun(ports, identityOf(ref))), hasSearchAttributes })),

    launch: (ref: RunReference): Promise<ReplicaState> =>
      heartbeating(async () => {
        const run = await runs.load(identityOf(ref));
        const replica = await launchRun(ports, run);
        log.info("container launched", { runId: run.id, image: run.job.codespec.image });
        return replica;
      }),

    /** Ends the container and returns what was observed at its end. */
    stop: (ref: RunReference): Promise<ReplicaState> =>
      heartbeating(async () => compute.stop(await runs.load(identityOf(ref)))),

    /** Most logs are short and are archived here, too: an activity of their own would cost more than they do. */
    conclude: (ref: RunReference, ending: RunEnding): Promise<Conclusion> =>
      heartbeating(async () => {
        const ended = await endRun(ports, identityOf(ref), ending);
        const outcome = recordedOutcome(ended);
        log.info("run ended", { runId: ended.id, status: outcome.status });
        try {
          await archiveRun(ports, ended, AbortSignal.timeout(ARCHIVE_AT_ONCE_MS));
          return { ...outcome, isArchived: true };
        } catch (err) {
          log.warn("the logs are not archived yet", { runId: ended.id, reason: messageOf(err) });
          return outcome;
        }
      }),

    archive: (ref: RunReference): Promise<void> =>
      heartbeating(async () => archiveRun(ports, await runs.load(identityOf(ref)))),

    /** For a workflow whose archive has failed for a day. */
    discard: (ref: RunReference): Promise<void> =>
      heartbeating(async () => {
        log.warn("logs are lost: they could not be archived for a day", { runId: identityOf(ref).id });
        await discardLogs(ports, await runs.load(identityOf(ref)));
      }),
  };
}
