import { parseIdentity, type RunIdentity } from "./identity.ts";
import { isAbsent, isInstant, isRecord, isText } from "./parse.ts";
import { deadlineOf, type RunRecord } from "./run.ts";

/**
 * The argument of a run's workflow: the facts that are fixed when the run is created. Nothing that the run executes is in
 * it, because it is kept in the workflow's history. Part of the wire.
 */
export interface RunArgument extends Required<RunIdentity> {
  deadlineAt: string;
  cluster: string;
  /** How many the run has: their indexes are the numbers below it. */
  replicas: number;
  /** `name/versions/N`; absent for an inline codespec. */
  codespecRef?: string;
}

/** The fields of a run that its workflow is started with. */
export type StartedRun = Pick<
  RunRecord,
  "id" | "uid" | "createdAt" | "timeoutSeconds" | "codespecRef" | "job" | "cluster" | "replicaCount"
>;

export function argumentOf(run: StartedRun & { uid: string }): RunArgument {
  const { id, uid, cluster, codespecRef, replicaCount: replicas } = run;
  const fixed = { id, uid, deadlineAt: deadlineOf(run), cluster, replicas };
  return codespecRef === undefined ? fixed : { ...fixed, codespecRef };
}

/** More than any version starts a run with. */
const MOST_REPLICAS = 100_000;

/** Undefined for a value of another shape: every program can start a workflow, with whatever argument it has. */
export function parseArgument(value: unknown): RunArgument | undefined {
  if (!isRecord(value)) return undefined;
  const { id, uid, deadlineAt, cluster, replicas, codespecRef } = value;
  if (!isText(uid) || !isInstant(deadlineAt) || !isText(cluster) || !isCount(replicas)) return undefined;
  const identity = parseIdentity(String(id), uid);
  if (identity === undefined || !(isAbsent(codespecRef) || isText(codespecRef))) return undefined;
  const fixed = { id: identity.id, uid, deadlineAt, cluster, replicas };
  return isAbsent(codespecRef) ? fixed : { ...fixed, codespecRef };
}

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= MOST_REPLICAS;
