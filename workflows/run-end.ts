import { ApplicationFailure, CancelledFailure } from "@temporalio/common";
import { FAILURE_CAUSES, type FailureCause, type Outcome } from "../model/run/lifecycle.ts";

/** How a run ended that did not succeed, as the failure of its workflow tells it. */
export type RunEnd =
  | { status: "Canceled" }
  | (Outcome & { status: "Failed"; cause: FailureCause; statusReason: string; runId?: number });

/**
 * For programs that await the result of a run's workflow, which rejects when the run failed or was canceled. Undefined for
 * any other error: then the end of the run is not known.
 */
export function runEndOf(error: unknown): RunEnd | undefined {
  const failure = error instanceof Error ? (error.cause ?? error) : undefined;
  if (failure instanceof CancelledFailure) return { status: "Canceled" };
  if (!(failure instanceof ApplicationFailure)) return undefined;
  const cause = FAILURE_CAUSES.find((one) => one === failure.type);
  if (cause === undefined) return undefined;
  const [details]: unknown[] = failure.details ?? [];
  return { ...Object(details), status: "Failed", cause, statusReason: failure.message };
}
