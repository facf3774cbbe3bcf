import { isSettled, isStoring, later, needsStop, type ReplicaState } from "./lifecycle.ts";

/** The replicas of a run by index; as many as it has. */
export type ReplicaStates = readonly ReplicaState[];

/** A state that was seen of one replica, with its index. */
export type ReplicaChange = [index: number, state: ReplicaState];

export const UNSEEN: ReplicaState = { container: { phase: "Unknown" } };
export const unseen = (count: number): ReplicaStates => Array.from({ length: count }, () => UNSEEN);

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

/** The workflow, which waits for the end of the run, has something to do: all is over, or one must be stopped. */
export const areDecisive = (replicas: ReplicaStates): boolean => areSettled(replicas) || replicas.some(needsStop);

/** Every job has ended, and some pumps still store outputs. */
export const areStoring = (replicas: ReplicaStates): boolean =>
  replicas.some(isStoring) && replicas.every((replica) => isStoring(replica) || isSettled(replica));

export const changesIn = (replicas: ReplicaStates): ReplicaChange[] => replicas.map((state, index) => [index, state]);
