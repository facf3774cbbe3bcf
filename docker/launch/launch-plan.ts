import type { LaunchClaim } from "../../model/ports/compute.ts";

/** A run's container as an inspection shows it: none, only created, or started. */
export type Seen = { phase: "none" } | { phase: "made" | "started"; containerId: string; attempt: string };

type Attempted = Pick<LaunchClaim, "attempt" | "containerId">;

/**
 * The attempts whose folders are renamed before the second look, so that the engine refuses a start that comes late. One
 * that is seen as started needs none.
 */
export function attemptsToFence(claim: Attempted, seen: Seen): string[] {
  if (seen.phase === "started") return [];
  return seen.phase === "none" ? [claim.attempt] : [...new Set([seen.attempt, claim.attempt])];
}

/** The decision about an earlier attempt. */
export type Verdict =
  /** It was started: that is the run's launch, and its container is recorded. */
  | { kind: "adopt"; containerId: string }
  /** Its container is gone, and how far it came is unknown: the run is not launched again. */
  | { kind: "leave" }
  /** Nothing was started: its container and folders go, and another attempt can begin. */
  | { kind: "discard"; containerId?: string; attempts: string[] };

/** Decides about an earlier attempt by its claim and what is seen after its fence. */
export function verdictOn(claim: Attempted, seen: Seen): Verdict {
  if (seen.phase === "started") return { kind: "adopt", containerId: seen.containerId };
  if (seen.phase === "made") {
    const attempts = [...new Set([claim.attempt, seen.attempt])];
    return { kind: "discard", containerId: seen.containerId, attempts };
  }
  return claim.containerId === undefined ? { kind: "discard", attempts: [claim.attempt] } : { kind: "leave" };
}

/** How an attempt that failed ends. */
export type Failure =
  /** It may have started its container: all is kept for the next attempt, which fences and looks. */
  | "keep"
  /** Another attempt or a removal has the run: ours is undone, and what is there is reported. */
  | "report"
  /** Nothing was started and nothing will be: ours is undone, and the error is the run's. */
  | "fail";

/** `isOurs`: claim and folder are still the attempt's own. `isFinal`: the engine has refused, or another try cannot help. */
export function afterFailure({ isOurs, isFinal }: { isOurs: boolean; isFinal: boolean }): Failure {
  if (!isOurs) return "report";
  return isFinal ? "fail" : "keep";
}
