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
  upsertSearchAttributes,
} from "@temporalio/workflow";
import type { RunActivities, RunPlan, WorkflowEnding } from "../activities/run.ts";
import { isSettled, later, msUntil, needsStop, type Outcome, type ReplicaState } from "../model/lifecycle.ts";
import type { RunStatus } from "../model/run.ts";
import { cancelRun, currentRun, placeFree, replicaChanged } from "./messages.ts";
import { SEARCH_ATTRIBUTES } from "./search-attributes.ts";

const RETRY = { initialInterval: "200 ms", backoffCoefficient: 2, maximumInterval: "10 seconds" } as const;

const local = proxyLocalActivities<RunActivities>({ startToCloseTimeout: "10 seconds", retry: RETRY });

// Let a launch in flight settle before the clean-up: removed first, it would leave its container behind.
const act = proxyActivities<RunActivities>({
  startToCloseTimeout: "2 minutes",
  heartbeatTimeout: "8 seconds",
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: RETRY,
});

const finalise = proxyActivities<RunActivities>({
  startToCloseTimeout: "1 hour",
  heartbeatTimeout: "8 seconds",
  scheduleToCloseTimeout: "24 hours",
  retry: { ...RETRY, maximumInterval: "5 minutes" },
});

/**
 * Takes one run from Pending to a terminal status and returns its outcome.
 * Only the id comes in: what the run executes is loaded by activities and never enters history.
 * A run that fails is a result, not an error: this workflow itself completes.
 */
export async function runWorkflow(runId: number): Promise<Outcome | undefined> {
  let replica: ReplicaState = { container: { phase: "Unknown" } };
  let cancelRequestedAt: string | undefined;
  let placeOffers = 0;
  let phase = "waiting for a place among the live runs";
  const show = (words: string): void => {
    phase = words;
    setCurrentDetails(words);
  };
  const requestCancel = (): void => {
    cancelRequestedAt ??= new Date().toISOString();
  };
  setHandler(replicaChanged, (state) => {
    replica = later(replica, state);
  });
  setHandler(cancelRun, requestCancel);
  setHandler(placeFree, () => {
    placeOffers += 1;
  });
  setHandler(currentRun, () => ({ runId, phase, cancelRequested: cancelRequestedAt !== undefined, replica }));
  // An ordinary Temporal cancel means the same as the signal; the rest of the run must not be cut off by it.
  CancellationScope.current().cancelRequested.catch(requestCancel);

  return CancellationScope.nonCancellable(async () => {
    const isCanceled = (): boolean => cancelRequestedAt !== undefined;
    let plan = await local.plan(runId);
    if (plan.cancelRequested) requestCancel();
    if (!plan.admitted && !plan.isOver) tag(plan, "Pending");
    while (!plan.admitted && !plan.isOver && !isCanceled()) {
      const offersSeen = placeOffers;
      const inTime = await condition(
        () => isCanceled() || placeOffers > offersSeen,
        msUntil(plan.deadlineAt, Date.now()),
      );
      if (!inTime) break;
      plan = await local.plan(runId);
    }
    if (plan.isOver) {
      show("the run had ended before this workflow ran");
      await finalise.archive(runId);
      return undefined;
    }

    let ending: Omit<WorkflowEnding, "replica"> = {};
    if (plan.admitted && !isCanceled()) {
      show("launching the container");
      const failure = await launch();
      if (failure === undefined && !isCanceled()) {
        tag(plan, "Running");
        show("the container is running");
      }
      ending = failure === undefined ? ending : { failure };
    }
    const mustWait = plan.admitted && ending.failure === undefined;
    const isDone = (): boolean => isCanceled() || isSettled(replica) || needsStop(replica);
    const inTime = mustWait
      ? await condition(isDone, msUntil(plan.deadlineAt, Date.now()))
      : plan.admitted || isCanceled();

    // What the container itself did first counts: its exit may predate the cancel or the deadline.
    if (!isSettled(replica)) {
      show(isCanceled() ? "cancelling" : inTime ? "stopping the container" : "out of time, stopping the container");
      replica = later(replica, await act.stop(runId));
    }
    const outcome = await act.conclude(runId, {
      ...ending,
      replica,
      ...(cancelRequestedAt === undefined ? {} : { cancelRequestedAt }),
      ...(inTime ? {} : { timedOut: true }),
    });
    tag(plan, outcome.status);
    show(`${outcome.status}: archiving the logs`);
    try {
      await finalise.archive(runId);
    } catch (err) {
      if (!(err instanceof ActivityFailure)) throw err;
      await act.discard(runId);
    }
    show(outcome.statusReason === undefined ? outcome.status : `${outcome.status}: ${outcome.statusReason}`);
    return outcome;

    /** Launches, unless cancelled or out of time before it came to that; gives the reason of a final failure. */
    async function launch(): Promise<string | undefined> {
      const scope = new CancellationScope({ cancellable: true });
      const launching = scope.run(async () => {
        replica = later(replica, await act.launch(runId));
      });
      let settled = false;
      const result = launching.then(
        () => undefined,
        (err: unknown) => {
          if (isCancellation(err)) return undefined;
          const cause = err instanceof ActivityFailure ? err.cause : undefined;
          if (cause instanceof ApplicationFailure && cause.nonRetryable) return cause.message;
          throw err;
        },
      );
      const done = result.finally(() => {
        settled = true;
      });
      done.catch(() => undefined);
      await condition(() => settled || isCanceled(), msUntil(plan.deadlineAt, Date.now()));
      if (!settled) scope.cancel();
      return done;
    }
  });
}

/** Keeps the search attributes that filter runs in the Web UI. */
function tag(plan: RunPlan, status: RunStatus): void {
  if (!plan.hasSearchAttributes) return;
  upsertSearchAttributes([
    { key: SEARCH_ATTRIBUTES.status, value: status },
    { key: SEARCH_ATTRIBUTES.codespec, value: plan.codespecRef ?? "inline" },
  ]);
}
