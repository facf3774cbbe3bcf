import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  log,
  proxyActivities,
  sleep,
} from "@temporalio/workflow";
import type { RunActivities } from "../activities/run.ts";
import type { RunReference } from "../model/run/identity.ts";
import { msUntil } from "../model/run/lifecycle.ts";

/** The steps of a run and how they are waited for, for both generations of its workflow. */

export const RETRY = { initialInterval: "200 ms", backoffCoefficient: 2, maximumInterval: "10 seconds" } as const;
/** Between repetitions that only another version of the worker can end. */
const MAX_PAUSE_MS = 300_000;

const STEP_MS = 120_000;
/** For each further replica: a busy engine makes, or ends, one container after another. */
const REPLICA_MS = 2_000;

/** The steps of a run with so many replicas. */
export const stepsFor = (replicas: number) =>
  proxyActivities<RunActivities>({
    startToCloseTimeout: STEP_MS + (replicas - 1) * REPLICA_MS,
    heartbeatTimeout: "8 seconds",
    // A launch in flight must settle before cleanup; otherwise it would leave its container behind.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: RETRY,
  });

/** The steps of a run with one replica. */
export const act = stepsFor(1);

const finalize = proxyActivities<RunActivities>({
  startToCloseTimeout: "1 hour",
  heartbeatTimeout: "8 seconds",
  scheduleToCloseTimeout: "24 hours",
  retry: { ...RETRY, maximumInterval: "5 minutes" },
});

/** Archives the logs and cleans the engine, which is done without the logs after a day in which they could not be archived. */
export async function archive(ref: RunReference): Promise<void> {
  try {
    await finalize.archive(ref);
  } catch (err) {
    if (!(err instanceof ActivityFailure)) throw err;
    await act.discard(ref);
  }
}

/** Repeats a step until its answer can be read: one that cannot is that of another version or of a person, and says nothing. */
export async function readable<T>(step: () => Promise<unknown>, parse: (answer: unknown) => T | undefined): Promise<T> {
  for (let pauseMs = 1000; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
    const answer = parse(await step());
    if (answer !== undefined) return answer;
    log.warn("repeating a step whose answer is not understood");
    await sleep(pauseMs);
  }
}

/** Waits for a launch, and cancels it when the run must stop first; then `undefined`, once it has settled. */
export async function unlessStopped<T>(launch: () => Promise<T>, mustStop: () => boolean): Promise<T | undefined> {
  const scope = new CancellationScope({ cancellable: true });
  let isDone = false;
  const launching = scope
    .run(launch)
    .catch((err: unknown) => {
      if (isCancellation(err) && mustStop()) return undefined;
      throw err;
    })
    .finally(() => {
      isDone = true;
    });
  await condition(() => isDone || mustStop());
  if (!isDone) scope.cancel();
  return launching;
}

/** Why a step failed for good, as the run's reason. @throws err when it is not the failure of a step, but a bug */
export function reasonOf(err: unknown): string {
  if (err instanceof ActivityFailure) return err.cause?.message ?? err.message;
  throw err;
}

/** As {@link reasonOf}. @throws err also when the run is not in the database: there is nothing to record it in */
export function recordableReasonOf(err: unknown): string {
  const cause = err instanceof ActivityFailure ? err.cause : undefined;
  if (cause instanceof ApplicationFailure && cause.type === "NotFound") throw err;
  return reasonOf(err);
}

/** The argument of a workflow as it was read. @throws ApplicationFailure: nothing is known of a run that could be ended */
export function known<T>(argument: T | undefined): T {
  if (argument !== undefined) return argument;
  throw ApplicationFailure.nonRetryable("The argument of the workflow identifies no run", "InvalidInput");
}

/** One timer for the whole run. */
export function startClock(deadlineAt: string): { isUp(): boolean; stop(): void } {
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
