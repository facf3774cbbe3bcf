import type { Outcome } from "./lifecycle.ts";
import { isRecord, parseOutcome } from "./parse.ts";
import { parseEntries } from "./replica-changes.ts";
import type { ReplicaChange } from "./replicas.ts";
import { taggingIn, type Tagging } from "./tagging.ts";

/** The answers of activities to the workflow of a run, and their readers: undefined when an answer cannot be read. Wire. */

/**
 * `Queued`: no slot was free. `Canceled`: the row has a request to cancel. `Over`: the row is terminal, because the
 * workflow was reset or repeated.
 */
export type LaunchAnswer = Tagging &
  (
    | { kind: "Launched"; replicas: ReplicaChange[] }
    | { kind: "Queued" | "Canceled" }
    | { kind: "Over"; outcome: Outcome }
  );

export interface StopAnswer {
  replicas: ReplicaChange[];
}

/** The end of the run is recorded. */
export interface Conclusion extends Tagging {
  outcome: Outcome;
  /** False when the logs are still to be archived and the engine to be cleaned. */
  isArchived: boolean;
}

export function parseLaunchAnswer(answer: unknown): LaunchAnswer | undefined {
  if (!isRecord(answer)) return undefined;
  const { kind } = answer;
  const tagging = taggingIn(answer);
  if (kind === "Queued" || kind === "Canceled") return { kind, ...tagging };
  if (kind === "Launched") {
    const replicas = parseStopAnswer(answer);
    return replicas && { kind, ...replicas, ...tagging };
  }
  const outcome = kind === "Over" ? parseOutcome(answer["outcome"]) : undefined;
  return outcome && { kind: "Over", outcome, ...tagging };
}

export function parseStopAnswer(answer: unknown): StopAnswer | undefined {
  if (!isRecord(answer) || !Array.isArray(answer["replicas"])) return undefined;
  const { known, unknown } = parseEntries(answer["replicas"]);
  return unknown === 0 ? { replicas: known } : undefined;
}

/** Also reads the answer of older versions, in which the fields of the outcome are those of the answer. */
export function parseConclusion(answer: unknown): Conclusion | undefined {
  if (!isRecord(answer)) return undefined;
  const outcome = parseOutcome(answer["outcome"] ?? answer);
  return outcome && { outcome, isArchived: answer["isArchived"] === true, ...taggingIn(answer) };
}
