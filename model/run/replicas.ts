import { hasEnded, isSettled, isStoring, later, needsStop, type ReplicaState } from "./lifecycle.ts";

/** The replicas of a run by index; as many as it has. */
export type ReplicaStates = readonly ReplicaState[];

/** A state that was seen of one replica, with its index. */
export type ReplicaChange = [index: number, state: ReplicaState];

/** So many that a message about all of them is a tenth of the size that Temporal accepts. */
export const MAX_REPLICAS = 1000;

export const UNSEEN: ReplicaState = { container: { phase: "Unknown" } };
export const unseen = (count: number): ReplicaStates => Array.from({ length: count }, () => UNSEEN);

/** How many replicas a run gets that asks for so many; a job that asks for none is executed all the same. */
export const replicaCountOf = (asked = 1): number => Math.max(1, asked);

/** The numbers of a run's replicas. */
export const indexesOf = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** The further of what was known and what was seen; a change of a replica that the run does not have is left out. */
export function withChanges(known: ReplicaStates, changes: readonly ReplicaChange[]): ReplicaStates {
  const next = [...known];
  for (const [index, state] of changes) {
    const before = next[index];
    if (before !== undefined) next[index] = later(before, state);
  }
  return next;
}

/** Nothing about any replica can change any more. */
export const areSettled = (replicas: ReplicaStates): boolean => replicas.every(isSettled);

/** The workflow, which waits for the end of the run, has something to do: all is over, or one replica ends the run. */
export const areDecisive = (replicas: ReplicaStates): boolean =>
  areSettled(replicas) || firstFailed(replicas) !== undefined;

/** Every job has ended, and some pumps still store outputs. */
export const areStoring = (replicas: ReplicaStates): boolean =>
  replicas.some(isStoring) && replicas.every((replica) => isStoring(replica) || isSettled(replica));

export const changesIn = (replicas: ReplicaStates): ReplicaChange[] => replicas.map((state, index) => [index, state]);

/** How many containers run at this moment. */
export const countRunning = (replicas: ReplicaStates): number =>
  replicas.filter(({ container }) => container.phase === "Running").length;

/** This replica ends its run, whatever the others do. */
export const hasFailed = (replica: ReplicaState): boolean =>
  needsStop(replica) || (isSettled(replica) && !hasSucceeded(replica));

/**
 * The index of the replica that failed first by itself; undefined if none has. Ask before the others are stopped, because
 * they then fail as well. A failure that nothing dates, such as that of a pump beside a running job, is the first.
 */
export function firstFailed(replicas: ReplicaStates): number | undefined {
  const failed = [...replicas.entries()].filter(([, replica]) => hasFailed(replica));
  return failed.toSorted(([, a], [, b]) => failedMs(a) - failedMs(b))[0]?.[0];
}

/**
 * The one state by which a run with these replicas is judged, and whose it is: of the replica that failed first, or else of
 * the last to end. It starts with the first of all. `before` is the instant of a cancel or of the deadline: a replica that ended
 * later can have been stopped.
 */
export function decidingState(
  replicas: ReplicaStates,
  failed: number | undefined,
  before: string,
): { index: number; state: ReplicaState } {
  const isOwnEnd = ({ container }: ReplicaState): boolean =>
    container.phase === "Exited" && endMsOf({ container }) < Date.parse(before);
  const index = failed ?? firstFailed(replicas.map((one) => (isOwnEnd(one) ? one : UNSEEN))) ?? lastToEnd(replicas);
  const state = replicas[index] ?? UNSEEN;
  const startedAt = firstOf(replicas.map(({ container }) => container.startedAt));
  if (startedAt === undefined) return { index, state };
  return { index, state: { ...state, container: { ...state.container, startedAt } } };
}

const hasSucceeded = ({ container, pump }: ReplicaState): boolean =>
  container.phase === "Exited" && container.exitCode === 0 && (pump === undefined || pump.phase === "Succeeded");

const failedMs = (replica: ReplicaState): number => (needsStop(replica) ? Number.NEGATIVE_INFINITY : endMsOf(replica));

/** One that has not ended is the last; nothing is known about an ended one without a date, and it comes first. */
function endMsOf({ container }: ReplicaState): number {
  if (!hasEnded(container)) return Number.POSITIVE_INFINITY;
  return container.finishedAt === undefined ? Number.NEGATIVE_INFINITY : Date.parse(container.finishedAt);
}

/** Of those that did not succeed, if there are such: one that never started keeps the run from having succeeded. */
function lastToEnd(replicas: ReplicaStates): number {
  const indexes = indexesOf(replicas.length);
  const unsuccessful = indexes.filter((index) => !hasSucceeded(replicas[index] ?? UNSEEN));
  const among = unsuccessful.length > 0 ? unsuccessful : indexes;
  const endMs = (index: number): number => endMsOf(replicas[index] ?? UNSEEN);
  return among.reduce((last, index) => (endMs(index) > endMs(last) ? index : last), among[0] ?? 0);
}

const firstOf = (instants: (string | undefined)[]): string | undefined =>
  instants.filter((instant) => instant !== undefined).toSorted((a, b) => Date.parse(a) - Date.parse(b))[0];
