import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setDefaultSignalHandler,
  setHandler,
  sleep,
  upsertSearchAttributes,
} from "@temporalio/workflow";
import type { Conclusion, RunActivities, RunEnding, RunPlan } from "../activities/run.ts";
import {
  isDecisive,
  isSettled,
  isStoring,
  later,
  msUntil,
  type Outcome,
  type ReplicaState,
} from "../model/run/lifecycle.ts";
import { parseReference, referenceTo, type RunIdentity } from "../model/run/identity.ts";
import { isRecord, parseOutcome, parseReplicaState } from "../model/run/parse.ts";
import { changeOf, parseChanges } from "../model/run/replica-changes.ts";
import type { RunStatus } from "../model/run/run.ts";
import { logDropped } from "./dropped.ts";
import { cancelRun, currentRun, slotFree, replicaChanged, replicasChanged } from "./messages.ts";
import { SEARCH_ATTRIBUTES } from "./search-attributes.ts";

/** Between repetitions that only another version of the worker can end. */
const MAX_PAUSE_MS = 300_000;
const RETRY = { initialInterval: "200 ms", backoffCoefficient: 2, maximumInterval: "10 seconds" } as const;

const local = proxyLocalActivities<RunActivities>({ startToCloseTimeout: "10 seconds", retry: RETRY });

// A launch in flight must settle before cleanup; otherwise it would leave its container behind.
const act = proxyActivities<RunActivities>({
  startToCloseTimeout: "2 minutes",
  heartbeatTimeout: "8 seconds",
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: RETRY,
});

/** Of a replica of which nothing is known. */
const UNSEEN: ReplicaState = { container: { phase: "Unknown" } };

const finalize = proxyActivities<RunActivities>({
  startToCloseTimeout: "1 hour",
  heartbeatTimeout: "8 seconds",
  scheduleToCloseTimeout: "24 hours",
  retry: { ...RETRY, maximumInterval: "5 minutes" },
});

/**
 * Takes one run from Pending to a terminal status and returns its outcome.
 * Its only argument is which run it is: activities load what the run executes, so that it never enters history.
 * A run that fails is a result, not an error: this workflow itself completes.
 */
export async function executeRun(run: RunIdentity): Promise<Outcome | undefined> {
  const identity = identityIn(run);
  const { id: runId, uid } = identity;
  const ref = referenceTo(identity);
  let replica = UNSEEN;
  let cancelRequestedAt: string | undefined;
  let slotOffers = 0;
  let phase = "queued: waiting for a free slot";
  const show = (words: string): void => {
    phase = words;
    setCurrentDetails(words);
  };
  const requestCancel = (): void => {
    cancelRequestedAt ??= new Date().toISOString();
  };
  const drop = (signal: string): void => logDropped({ runId, signal });
  const take = (signal: string, message: unknown): void => {
    const changes = parseChanges(message);
    if (changes === undefined || changes.unknown > 0) drop(signal);
    if (changes === undefined || changes.uid !== uid) return;
    for (const [index, state] of changes.replicas) {
      if (index === 0) replica = later(replica, state);
      else drop(signal);
    }
  };
  setHandler(replicasChanged, (message: unknown) => take(replicasChanged.name, message));
  setHandler(replicaChanged, (state: unknown, of: unknown) => take(replicaChanged.name, changeOf(state, of)));
  // Programs cancel by number, without a uid, and a person with anything. Only a text can be the uid of another run.
  setHandler(cancelRun, (of: unknown) => {
    if (typeof of !== "string" || of === uid) requestCancel();
    else drop(cancelRun.name);
  });
  setHandler(slotFree, () => {
    slotOffers += 1;
  });
  setHandler(currentRun, () => ({ runId, phase, cancelRequested: cancelRequestedAt !== undefined, replica }));
  // The last one: it gets all signals so far that have no handler.
  setDefaultSignalHandler(drop);
  // An ordinary Temporal cancel means the same as the signal, and must not cut off the rest of the run.
  CancellationScope.current().cancelRequested.catch(requestCancel);

  return CancellationScope.nonCancellable(async () => {
    const isCanceled = (): boolean => cancelRequestedAt !== undefined;
    let plan = await local.plan(ref);
    if (plan.cancelRequested) requestCancel();
    if (plan.isOver) {
      show("the run had ended before this workflow started");
      await finalize.archive(ref);
      return undefined;
    }
    const clock = startClock(plan.deadlineAt);
    const mustStop = (): boolean => isCanceled() || clock.isUp();

    if (!plan.admitted) tag(plan, "Pending");
    while (!plan.admitted && !mustStop()) {
      const offersSeen = slotOffers;
      await condition(() => mustStop() || slotOffers > offersSeen);
      if (!mustStop()) plan = await local.plan(ref);
    }

    let failure: string | undefined;
    if (!mustStop()) {
      show("launching the container");
      failure = await launch(mustStop);
      if (failure === undefined && !mustStop()) {
        if (!isSettled(replica)) tag(plan, "Running");
        show("the container is running");
        await condition(() => mustStop() || isStoring(replica) || isDecisive(replica));
        if (isStoring(replica)) show("storing the outputs");
        await condition(() => mustStop() || isDecisive(replica));
      }
    }

    // An exit that the container reached by itself counts first: it can predate the cancel or the deadline.
    if (!isSettled(replica)) {
      show(isCanceled() ? "canceling" : "stopping the container");
      try {
        replica = later(replica, parseReplicaState(await act.stop(ref)) ?? UNSEEN);
      } catch (err) {
        failure ??= recordableReasonOf(err);
      }
    }
    const timedOut = clock.isUp();
    clock.stop();
    const { isArchived, ...outcome } = await conclude({
      replica,
      ...(failure === undefined ? {} : { failure }),
      ...(cancelRequestedAt === undefined ? {} : { cancelRequestedAt }),
      ...(timedOut ? { timedOut } : {}),
    });
    tag(plan, outcome.status);
    if (!isArchived) {
      show(`${outcome.status}: archiving the logs`);
      await archive();
    }
    show(outcome.statusReason === undefined ? outcome.status : `${outcome.status}: ${outcome.statusReason}`);
    return outcome;
  });

  /** Records the end until an answer says that it is recorded: one that cannot be read says nothing. */
  async function conclude(ending: RunEnding): Promise<Conclusion> {
    for (let pauseMs = 1000; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      const answer: unknown = await act.conclude(ref, ending);
      const outcome = parseOutcome(answer);
      if (outcome)
        return isRecord(answer) && answer["isArchived"] === true ? { ...outcome, isArchived: true } : outcome;
      await sleep(pauseMs);
    }
  }

  async function archive(): Promise<void> {
    try {
      await finalize.archive(ref);
    } catch (err) {
      if (!(err instanceof ActivityFailure)) throw err;
      await act.discard(ref);
    }
  }

  /** Launches, unless the run must stop first. Returns the reason of a launch that failed for good. */
  async function launch(mustStop: () => boolean): Promise<string | undefined> {
    const scope = new CancellationScope({ cancellable: true });
    let isDone = false;
    const launching = scope
      .run(() => act.launch(ref))
      .then(
        (seen) => {
          replica = later(replica, parseReplicaState(seen) ?? UNSEEN);
          return undefined;
        },
        (err: unknown) => (isCancellation(err) && mustStop() ? undefined : reasonOf(err)),
      )
      .finally(() => {
        isDone = true;
      });
    await condition(() => isDone || mustStop());
    if (!isDone) scope.cancel();
    return launching;
  }
}

/** The workflow type of runs without a uid; registered until none of them can be open or reset. */
export const runWorkflow = (runId: number): Promise<Outcome | undefined> => executeRun({ id: runId });

/** @throws ApplicationFailure, which fails the workflow: nothing is known of a run that could be ended */
function identityIn(argument: unknown): RunIdentity {
  const identity = parseReference(argument);
  if (identity) return identity;
  throw ApplicationFailure.nonRetryable("The argument of the workflow identifies no run", "InvalidInput");
}

/** Why a step failed for good, as the run's reason. @throws err when it is not the failure of a step, but a bug */
function reasonOf(err: unknown): string {
  if (err instanceof ActivityFailure) return err.cause?.message ?? err.message;
  throw err;
}

/** As {@link reasonOf}. @throws err also when the run is not in the database: there is nothing to record it in */
function recordableReasonOf(err: unknown): string {
  const cause = err instanceof ActivityFailure ? err.cause : undefined;
  if (cause instanceof ApplicationFailure && cause.type === "NotFound") throw err;
  return reasonOf(err);
}

/** One timer for the whole run. */
function startClock(deadlineAt: string): { isUp(): boolean; stop(): void } {
  const scope = new CancellationScope({ cancellable: true });
  let up = false;
  scope
    .run(() => sleep(msUntil(deadlineAt, Date.now())))
    .then(
      () => {
        up = true;
      },
      () => undefined,
    );
  return { isUp: () => up, stop: () => scope.cancel() };
}

/** Keeps the search attributes that filter runs in the Web UI. */
function tag(plan: RunPlan, status: RunStatus): void {
  if (!plan.hasSearchAttributes) return;
  upsertSearchAttributes([
    { key: SEARCH_ATTRIBUTES.status, value: status },
    { key: SEARCH_ATTRIBUTES.codespec, value: plan.codespecRef ?? "inline" },
  ]);
}
