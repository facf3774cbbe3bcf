import { Context, log } from "@temporalio/activity";
import { messageOf } from "../model/errors.ts";
import type { ComputeWriter } from "../model/ports/compute.ts";
import type { Conclusion, LaunchAnswer, StopAnswer } from "../model/run/answers.ts";
import { identityOf, type RunReference } from "../model/run/identity.ts";
import type { Outcome, ReplicaState } from "../model/run/lifecycle.ts";
import { unseen, withChanges, type ReplicaChange } from "../model/run/replicas.ts";
import type { Tagging } from "../model/run/tagging.ts";
import { admitRun, type Admission } from "../runs/admit.ts";
import { archiveRun, discardLogs, type ArchivePorts } from "../runs/archive.ts";
import { endRun, recordedOutcome, type EndPorts, type RunEnding } from "../runs/end.ts";
import { admitAndLaunch, launchRun } from "../runs/launch.ts";
import { stopRun } from "../runs/stop.ts";
import { heartbeating, withFailures } from "./failures.ts";
import { taggingOf } from "./tagging.ts";

/** Well within the time of the activity that records how the run ended. */
const ARCHIVE_AT_ONCE_MS = 10_000;

export interface RunActivityPorts extends EndPorts, Omit<ArchivePorts, "runs" | "compute"> {
  compute: ComputeWriter;
  /** Whether the namespace has our search attributes at this moment; a workflow cannot continue that sets unknown ones. */
  hasSearchAttributes: () => Promise<boolean>;
}

/** How a run ended, from its workflow. */
export interface ReplicasEnding extends Omit<RunEnding, "replicas" | "cancelRequestedAt"> {
  replicas: ReplicaChange[];
}

/** The same from an older workflow. */
export interface ReplicaEnding extends Omit<RunEnding, "replicas" | "failed"> {
  replica: ReplicaState;
}

/** The answer to older workflows that ask for a slot. */
export interface RunPlan extends Admission {
  hasSearchAttributes: boolean;
}

export type RunActivities = ReturnType<typeof runActivities>;

/** The steps of a run. Each can be repeated; the workflow's policy is what retries. Their names are part of the wire. */
export function runActivities(ports: RunActivityPorts) {
  const { runs, compute, hasSearchAttributes } = ports;

  const tagging = (): Promise<Tagging> => taggingOf(hasSearchAttributes);

  /** Most logs are short and are archived here, too: an activity of their own would cost more than they do. */
  const conclude = async (ref: RunReference, ending: RunEnding): Promise<{ outcome: Outcome; isArchived: boolean }> => {
    const ended = await endRun(ports, identityOf(ref), ending);
    const outcome = recordedOutcome(ended);
    log.info("run ended", { runId: ended.id, status: outcome.status });
    try {
      await archiveRun(ports, ended, AbortSignal.timeout(ARCHIVE_AT_ONCE_MS));
      return { outcome, isArchived: true };
    } catch (err) {
      log.warn("the logs are not archived yet", { runId: ended.id, reason: messageOf(err) });
      return { outcome, isArchived: false };
    }
  };

  return {
    /** Launches the run if it has a slot or one is free for it. */
    admitAndLaunch: (ref: RunReference): Promise<LaunchAnswer> =>
      heartbeating(async () => {
        const { cancellationSignal } = Context.current();
        const launching = admitAndLaunch(ports, identityOf(ref), cancellationSignal);
        const [answer, tags] = await Promise.all([launching, tagging()]);
        if (answer.kind === "Launched") log.info("run launched", { runId: identityOf(ref).id });
        return { ...answer, ...tags };
      }),

    /** Ends the containers and returns what was observed at their end. */
    stopReplicas: (ref: RunReference, { cancelRequested }: { cancelRequested?: true }): Promise<StopAnswer> =>
      heartbeating(async () => ({ replicas: await stopRun(ports, identityOf(ref), cancelRequested === true) })),

    recordEnd: (ref: RunReference, { replicas, ...ending }: ReplicasEnding): Promise<Conclusion> =>
      heartbeating(async () => {
        const states = withChanges(unseen(replicas.length), replicas);
        const [conclusion, tags] = await Promise.all([conclude(ref, { ...ending, replicas: states }), tagging()]);
        return { ...conclusion, ...tags };
      }),

    archive: (ref: RunReference): Promise<void> =>
      heartbeating(async () => archiveRun(ports, await runs.load(identityOf(ref)))),

    /** For a workflow whose archive has failed for a day. */
    discard: (ref: RunReference): Promise<void> =>
      heartbeating(async () => {
        log.warn("logs are lost: they could not be archived for a day", { runId: identityOf(ref).id });
        await discardLogs(ports, await runs.load(identityOf(ref)));
      }),

    // The steps of workflows that an older version began.

    plan: (ref: RunReference): Promise<RunPlan> =>
      withFailures(async () => {
        const admission = await admitRun(ports, identityOf(ref));
        return { ...admission, hasSearchAttributes: await hasSearchAttributes() };
      }),

    launch: (ref: RunReference): Promise<ReplicaState> =>
      heartbeating(async () => launchRun(ports, await runs.load(identityOf(ref)))),

    stop: (ref: RunReference): Promise<ReplicaState> =>
      heartbeating(async () => compute.stop(await runs.load(identityOf(ref)), 0)),

    conclude: (ref: RunReference, { replica, ...ending }: ReplicaEnding): Promise<Outcome & { isArchived?: true }> =>
      heartbeating(async () => {
        const { outcome, isArchived } = await conclude(ref, { ...ending, replicas: [replica] });
        return isArchived ? { ...outcome, isArchived } : outcome;
      }),
  };
}
