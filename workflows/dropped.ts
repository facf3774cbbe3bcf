import { log } from "@temporalio/workflow";

/** For signals that are not understood. Their payload stays out of the log: it can be anything. */
export const logDropped = (facts: { runId?: number; signal: string }): void =>
  log.warn("dropped a signal that is not understood", facts);
