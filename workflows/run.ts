import { CancellationScope, condition, patched, upsertSearchAttributes } from "@temporalio/workflow";
import { parseArgument, type RunArgument } from "../model/run/argument.ts";
import { referenceTo } from "../model/run/identity.ts";
import {
  parseConclusion,
  parseLaunchAnswer,
  parseStopAnswer,
  type Conclusion,
  type LaunchAnswer,
} from "../model/run/answers.ts";
import type { Outcome } from "../model/run/lifecycle.ts";
import {
  areDecisive,
  areSettled,
  areStoring,
  changesIn,
  firstFailed,
  withChanges,
  type ReplicaChange,
} from "../model/run/replicas.ts";
import type { RunStatus } from "../model/run/run.ts";
import type { Tagging } from "../model/run/tagging.ts";
import { waitingOf } from "../model/run/waiting.ts";
import { closeAs } from "./close.ts";
import { listen } from "./listen.ts";
import { searchAttributesOf } from "./search-attributes.ts";
import { archive, known, readable, recordableReasonOf, startClock, stepsFor, unlessStopped } from "./steps.ts";

/** Of workflows that wait for containers which begin some time after their launch. */
const LATE_START = "late start";

interface FailedLaunch {
  kind: "Failed";
  reason: string;
}

/**
 * Takes one run from Pending to a terminal status and returns its outcome.
 * Its argument has the facts that are fixed at creation; activities load the rest, so that it never enters history.
 * @throws ApplicationFailure with the run's reason when the run failed, CancelledFailure when it was canceled: after all is recorded
 */
export async function superviseRun(argument: RunArgument): Promise<Outcome> {
  const run = known(parseArgument(argument));
  const ref = referenceTo(run);
  const act = stepsFor(run.replicas);
  const heard = listen(run, run.replicas);
  const see = (changes: readonly ReplicaChange[]): void => {
    heard.replicas = withChanges(heard.replicas, changes);
  };
  const isCanceled = (): boolean => heard.cancelRequestedAt !== undefined;
  const tag = (status: RunStatus): void => {
    if (heard.tagUntil !== undefined && Date.now() < Date.parse(heard.tagUntil))
      upsertSearchAttributes(searchAttributesOf(status, run.codespecRef));
  };
  const believe = ({ tagUntil }: Tagging): void => {
    if (tagUntil === undefined) delete heard.tagUntil;
    else heard.tagUntil = tagUntil;
  };

  // Temporal's own cancel must not cut off the rest of the run.
  return CancellationScope.nonCancellable(async () => {
    const clock = startClock(run.deadlineAt);
    const mustStop = (): boolean => isCanceled() || clock.isUp();

    // With one replica there is nothing left to launch when it fails.
    const hasFailed = (): boolean => run.replicas > 1 && firstFailed(heard.replicas) !== undefined;
    const launched = await launch(() => mustStop() || hasFailed());
    if (launched.kind === "Over") return finish({ outcome: launched.outcome, isArchived: false });
    if (launched.kind === "Canceled") heard.requestCancel();
    if (launched.kind === "Launched") see(launched.replicas);
    let failure = launched.kind === "Failed" ? launched.reason : undefined;
    if (failure === undefined && !mustStop() && waitingOf(heard.replicas) && patched(LATE_START)) await begin(mustStop);
    if (failure === undefined && !mustStop()) {
      if (!areSettled(heard.replicas)) tag("Running");
      heard.show("the job is running");
      await condition(() => mustStop() || areStoring(heard.replicas) || areDecisive(heard.replicas));
      if (areStoring(heard.replicas)) heard.show("storing the outputs");
      await condition(() => mustStop() || areDecisive(heard.replicas));
    }

    // Those that are stopped fail as well.
    const failed = firstFailed(heard.replicas);
    // An exit that a container reached by itself counts first: it can predate the cancel or the deadline.
    if (!areSettled(heard.replicas)) {
      heard.show(isCanceled() ? "canceling" : "stopping the job");
      const reason = isCanceled() ? ({ cancelRequested: true } as const) : {};
      try {
        see((await readable(() => act.stopReplicas(ref, reason), parseStopAnswer)).replicas);
      } catch (err) {
        failure ??= recordableReasonOf(err);
      }
    }
    const timedOut = clock.isUp();
    clock.stop();
    const ending = {
      replicas: changesIn(heard.replicas),
      ...(failed === undefined ? {} : { failed }),
      ...(failure === undefined ? {} : { failure }),
      ...(isCanceled() ? { cancelRequested: true as const } : {}),
      ...(timedOut ? { timedOut } : {}),
    };
    const concluded = await readable(() => act.recordEnd(ref, ending), parseConclusion);
    believe(concluded);
    tag(concluded.outcome.status);
    return finish(concluded);
  });

  /** Asks for a slot and launches, again when a slot is offered. `Stopped`: the run must stop first. */
  async function launch(mustStop: () => boolean): Promise<LaunchAnswer | FailedLaunch | { kind: "Stopped" }> {
    while (!mustStop()) {
      // An offer can arrive while the step is under way.
      const offersSeen = heard.slotOffers;
      heard.show("launching the job");
      const step = () => readable(() => act.admitAndLaunch(ref), parseLaunchAnswer);
      const answer = await unlessStopped(step, mustStop).catch((err: unknown): FailedLaunch => ({
        kind: "Failed",
        reason: recordableReasonOf(err),
      }));
      if (answer === undefined || answer.kind === "Failed") return answer ?? { kind: "Stopped" };
      believe(answer);
      if (answer.kind !== "Queued") return answer;
      heard.show("queued: waiting for a free slot");
      await condition(() => mustStop() || heard.slotOffers > offersSeen);
    }
    return { kind: "Stopped" };
  }

  /** Waits until a container has begun, and shows why none has. */
  async function begin(mustStop: () => boolean): Promise<void> {
    for (let waiting = waitingOf(heard.replicas); waiting; waiting = waitingOf(heard.replicas)) {
      const { reason } = waiting;
      heard.show(reason === undefined ? "waiting for the job to begin" : `waiting for the job to begin: ${reason}`);
      const isNews = (): boolean => {
        const now = waitingOf(heard.replicas);
        return now === undefined || now.reason !== reason;
      };
      await condition(() => mustStop() || isNews());
      if (mustStop()) return;
    }
  }

  /** Everything is recorded; the logs may still have to be archived. */
  async function finish({ outcome, isArchived }: Conclusion): Promise<Outcome> {
    if (!isArchived) {
      heard.show(`${outcome.status}: archiving the logs`);
      await archive(ref);
    }
    heard.show(outcome.statusReason === undefined ? outcome.status : `${outcome.status}: ${outcome.statusReason}`);
    return closeAs(run.id, outcome);
  }
}
