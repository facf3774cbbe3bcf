import { ApplicationFailure, CancelledFailure } from "@temporalio/workflow";
import type { Outcome } from "../model/run/lifecycle.ts";

/**
 * The last step of a run's workflow, when all is recorded: returns a success and throws the other two ends, so that the Web
 * UI and programs see them.
 */
export function closeAs(runId: number, outcome: Outcome): Outcome {
  const { status, statusReason, cause = "RunFailed" } = outcome;
  if (status === "Succeeded") return outcome;
  if (status === "Canceled") throw new CancelledFailure(statusReason ?? status);
  const details = [{ runId, ...outcome }];
  const failure = ApplicationFailure.create({
    type: cause,
    message: statusReason ?? status,
    details,
    nonRetryable: true,
  });
  // The lines of our code say nothing about the run.
  failure.stack = "";
  throw failure;
}
