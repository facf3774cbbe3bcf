import type { OverdueRun } from "../../model/ports/records.ts";
import type { ContainerState } from "../../model/run/lifecycle.ts";

/** How long a workflow has for a cancel, and for its deadline, before the reconciler acts in its place. */
const CANCEL_GRACE_MS = 60_000;
const DEADLINE_GRACE_MS = 120_000;
/** After this a run ends even if its containers could not be stopped. */
const GIVE_UP_MS = 24 * 3_600_000;
/** How long a workflow has for the end of its containers, and then for another report of it. */
const SETTLED_MS = 30_000;

/** `deliver` the cancel again; `end` the run from outside; `giveUp`: end it even if the cluster does not answer. */
export type OverdueDuty = "none" | "deliver" | "end" | "giveUp";

export function overdueDuty({ sinceCancelMs, sinceDeadlineMs }: Omit<OverdueRun, "id" | "uid">): OverdueDuty {
  const isAtLeast = (sinceMs: number | undefined, limitMs: number): boolean =>
    sinceMs !== undefined && sinceMs >= limitMs;
  if (isAtLeast(sinceCancelMs, GIVE_UP_MS) || isAtLeast(sinceDeadlineMs, GIVE_UP_MS)) return "giveUp";
  if (isAtLeast(sinceCancelMs, CANCEL_GRACE_MS) || isAtLeast(sinceDeadlineMs, DEADLINE_GRACE_MS)) return "end";
  return sinceCancelMs === undefined ? "none" : "deliver";
}

export const isToBeEnded = (duty: OverdueDuty): boolean => duty === "end" || duty === "giveUp";

/** `report` the end of its containers to the run's workflow again; `end` the run from outside. */
export type SettledDuty = "none" | "report" | "end";

/** For an open run whose containers and pumps have ended. `reportedForMs` is undefined before they were reported again. */
export function settledDuty(settledForMs: number, reportedForMs: number | undefined): SettledDuty {
  if (settledForMs < SETTLED_MS) return "none";
  if (reportedForMs === undefined) return "report";
  return reportedForMs < SETTLED_MS ? "none" : "end";
}

/** Milliseconds since the engine's date of the exit; 0 when there is none, or one that is not in the past. */
export function sinceExitMs({ finishedAt }: ContainerState, nowMs: number): number {
  const sinceMs = finishedAt === undefined ? NaN : nowMs - Date.parse(finishedAt);
  return Number.isNaN(sinceMs) ? 0 : Math.max(0, sinceMs);
}
