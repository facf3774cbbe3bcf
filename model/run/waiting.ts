import type { ReplicaStates } from "./replicas.ts";

/** Containers were created, and none of them has begun. */
export interface Waiting {
  /** In the words of the engine; absent while nothing unusual keeps them. */
  reason?: string;
}

/** Undefined before a container was created, and once one has begun or is over. */
export function waitingOf(replicas: ReplicaStates): Waiting | undefined {
  const isWaiting = replicas.every(({ container: { phase } }) => phase === "Created" || phase === "Unknown");
  if (!isWaiting || !replicas.some(({ container }) => container.phase === "Created")) return undefined;
  const index = replicas.findIndex(({ container }) => container.message !== undefined);
  const message = replicas[index]?.container.message;
  if (message === undefined) return {};
  return { reason: replicas.length === 1 ? message : `replica ${index}: ${message}` };
}

/** The first start of a container of the run; undefined while none has begun. */
export function firstStartOf(replicas: ReplicaStates): string | undefined {
  const starts = replicas.flatMap(({ container: { startedAt } }) => (startedAt === undefined ? [] : [startedAt]));
  return starts.toSorted((a, b) => Date.parse(a) - Date.parse(b))[0];
}
