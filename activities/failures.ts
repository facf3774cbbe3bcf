import { ApplicationFailure, heartbeat } from "@temporalio/activity";
import { CodedError, type ErrorCode } from "../model/errors.ts";

/** Codes after which a retry cannot help. */
const FINAL: ReadonlySet<ErrorCode> = new Set(["NotFound", "InvalidInput", "LaunchFailed", "Conflict"]);

const HEARTBEAT_MS = 2000;

/**
 * Runs `work` while it heartbeats, so that a dead worker is noticed within the heartbeat timeout, and turns a
 * CodedError into an ApplicationFailure whose `type` is the code.
 */
export async function heartbeating<T>(work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => heartbeat(), HEARTBEAT_MS);
  try {
    return await withFailures(work);
  } finally {
    clearInterval(timer);
  }
}

/** Runs `work`, turning a CodedError into an ApplicationFailure whose `type` is the code. */
export async function withFailures<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (err) {
    if (!(err instanceof CodedError)) throw err;
    throw ApplicationFailure.create({ type: err.code, message: err.message, nonRetryable: FINAL.has(err.code) });
  }
}
