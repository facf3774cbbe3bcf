import { isAbsent, isRecord, isText, parseReplicaState } from "./parse.ts";
import type { ReplicaChange } from "./replicas.ts";
import { taggingIn, type Tagging } from "./tagging.ts";

/** Older workflows drop a message of another version, so that one that they would misread gets a new number. */
const VERSION = 1;

/**
 * The changes of one run's replicas that the watcher of its cluster has seen, in one signal. Part of the wire.
 * Those of 1,000 replicas are a tenth of the 2 MB that Temporal accepts.
 */
export interface ReplicaChanges {
  version: typeof VERSION;
  /** As in the run's identity. */
  uid?: string;
  /** By the index of the replica; replicas without a change are left out. */
  replicas: ReplicaChange[];
  /** As in the answers of activities. */
  tagUntil?: string;
}

export const changesOf = (
  uid: string | undefined,
  replicas: ReplicaChanges["replicas"],
  tagging: Tagging = {},
): ReplicaChanges => ({
  version: VERSION,
  ...(uid === undefined ? {} : { uid }),
  replicas,
  ...tagging,
});

/** A message from the two values of the older signal, which are unread. */
export const changeOf = (state: unknown, uid: unknown): unknown => ({ version: VERSION, uid, replicas: [[0, state]] });

/** A message as far as it was understood. */
export interface ParsedChanges extends Omit<ReplicaChanges, "version"> {
  /** How many of its entries were not. */
  unknown: number;
}

/** Reads a message that any version or program can have sent; undefined when it is none that we know. */
export function parseChanges(message: unknown): ParsedChanges | undefined {
  if (!isRecord(message) || message["version"] !== VERSION) return undefined;
  const { uid, replicas } = message;
  if (!Array.isArray(replicas) || !(isAbsent(uid) || isText(uid))) return undefined;
  const { known, unknown } = parseEntries(replicas);
  return { ...(isAbsent(uid) ? {} : { uid }), replicas: known, ...taggingIn(message), unknown };
}

/** The entries that can be read, and how many cannot. */
export function parseEntries(entries: readonly unknown[]): { known: ReplicaChange[]; unknown: number } {
  const known = entries.map(parseEntry).filter((entry) => entry !== undefined);
  return { known, unknown: entries.length - known.length };
}

function parseEntry(entry: unknown): ReplicaChange | undefined {
  if (!Array.isArray(entry)) return undefined;
  const [index, value] = entry as unknown[];
  const state = parseReplicaState(value);
  return state !== undefined && isIndex(index) ? [index, state] : undefined;
}

const isIndex = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
