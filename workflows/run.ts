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
  setHandler,
  sleep,
  upsertSearchAttributes,
} from "@temporalio/workflow";
import type { RunActivities, RunPlan } from "../activities/run.ts";
import { isDecisive, isSettled, later, msUntil, type Outcome, type ReplicaState } from "../model/run/lifecycle.ts";
import { referenceTo, type RunIdentity } from "../model/run/identity.ts";
import type { RunStatus } from "../model/run/run.ts";
import { cancelRun, currentRun, slotFree, replicaChanged } from "./messages.ts";
import { SEARCH_ATTRIBUTES } from "./search-attributes.ts";

const RETRY = { initialInterval: "200 ms", backoffCoefficient: 2, maximumInterval: "10 seconds" } as const;

const local = proxyLocalActivities<RunActivities>({ startToCloseTimeout: "10 seconds", retry: RETRY });

// A launch in flight must settle before cleanup; otherwise it would leave its container behind.
const act = proxyActivities<RunActivities>({
  startToCloseTimeout: "2 minutes",
  heartbeatTimeout: "8 seconds",
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: RETRY,
});

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
  const { id: runId, uid } = run;
  const ref = referenceTo(run);
  let replica: ReplicaState = { container: { phase: "Unknown" } };
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
  setHandler(replicaChanged, (state, of) => {
    if (of === uid) replica = later(replica, state);
  });
  // Programs cancel by number, without a uid.
  setHandler(cancelRun, (of) => {
    if (of === undefined || of === uid) requestCancel();
  });
  setHandler(slotFree, () => {
    slotOffers += 1;
  });
  setHandler(currentRun, () => ({ runId, phase, cancelRequested: cancelRequestedAt !== undefined, replica }));
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
        await condition(() => mustStop() || isDecisive(replica));
      }
    }

    // An exit that the container reached by itself counts first: it can predate the cancel or the deadline.
    if (!isSettled(replica)) {
      show(isCanceled() ? "canceling" : "stopping the container");
      replica = later(replica, await act.stop(ref));
    }
    const timedOut = clock.isUp();
    clock.stop();
    const { isArchived, ...outcome } = await act.conclude(ref, {
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
      .then((seen) => {
        replica = later(replica, seen);
        return undefined;
      }, finalFailureOf)
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

/** The reason of a launch that failed for good; undefined when it was canceled. */
function finalFailureOf(err: unknown): string | undefined {
  if (isCancellation(err)) return undefined;
  const cause = err instanceof ActivityFailure ? err.cause : undefined;
  if (cause instanceof ApplicationFailure && cause.nonRetryable) return cause.message;
  throw err;
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
