import { nanosecondsOf } from "../time/timestamp.ts";
import {
  FAILURE_CAUSES,
  isContainerPhase,
  isPumpPhase,
  type ContainerState,
  type Outcome,
  type PumpState,
  type ReplicaState,
} from "./lifecycle.ts";
import { isTerminal, RUN_STATUSES } from "./run.ts";

/**
 * Readers of values that reach a workflow from outside it: from another version, another language or a person. Fields
 * that we do not know are left out. A field that we know with a value that we do not makes the whole unreadable:
 * undefined, which says nothing, and never that all is well.
 */

export function parseReplicaState(value: unknown): ReplicaState | undefined {
  if (!isRecord(value)) return undefined;
  const container = parseContainer(value["container"]);
  if (container === undefined) return undefined;
  if (isAbsent(value["pump"])) return { container };
  const pump = parsePump(value["pump"]);
  return pump && { container, pump };
}

/** The terminal state that an activity has recorded. */
export function parseOutcome(value: unknown): Outcome | undefined {
  if (!isRecord(value)) return undefined;
  const { status } = value;
  const fields = parseFields(value, { statusReason: isText, startedAt: isInstant, finishedAt: isInstant });
  const known = RUN_STATUSES.find((one) => one === status);
  const cause = FAILURE_CAUSES.find((one) => one === value["cause"]);
  return fields && known && isTerminal(known) ? { status: known, ...fields, ...(cause && { cause }) } : undefined;
}

function parseContainer(value: unknown): ContainerState | undefined {
  if (!isRecord(value)) return undefined;
  const { phase } = value;
  const instants = { startedAt: isInstant, finishedAt: isInstant };
  const fields = parseFields(value, { ...instants, exitCode: Number.isSafeInteger, message: isText, cutOff: isFlag });
  return fields && isText(phase) && isContainerPhase(phase) ? { phase, ...fields } : undefined;
}

function parsePump(value: unknown): PumpState | undefined {
  if (!isRecord(value)) return undefined;
  const { phase } = value;
  const fields = parseFields(value, { message: isText, cutOff: isFlag });
  return fields && isText(phase) && isPumpPhase(phase) ? { phase, ...fields } : undefined;
}

/** The fields that have a value; undefined when a check refuses one of them. */
function parseFields(value: Record<string, unknown>, checks: Record<string, (field: unknown) => boolean>) {
  const given = Object.entries(checks).filter(([name]) => !isAbsent(value[name]));
  if (!given.every(([name, isValid]) => isValid(value[name]))) return undefined;
  return Object.fromEntries(given.map(([name]) => [name, value[name]]));
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** Other languages write null for a field that is not set. */
export const isAbsent = (value: unknown): value is null | undefined => value === undefined || value === null;
export const isText = (value: unknown): value is string => typeof value === "string";
export const isFlag = (value: unknown): value is boolean => typeof value === "boolean";
/** One that can be stored and compared. */
export const isInstant = (value: unknown): value is string => isText(value) && nanosecondsOf(value) !== undefined;
