import { isSameRun, parseIdentity, type RunIdentity } from "../../model/run/identity.ts";
import { LABEL_INSTALLATION, LABEL_RUN, LABEL_RUN_UID } from "../../model/run/names.ts";
import type { ObjectMeta } from "./wire.ts";

/** Names, labels and annotations of the objects of runs. Other programs know them, and runs in flight have them. */

export const podNameOf = (runId: number, replica: number): string => `run-${runId}-job-${replica}`;
export const jobSecretNameOf = (runId: number): string => `run-${runId}-job`;

/** On job pods and the Secret of the job; the number of the run again. */
export const LABEL_JOB = "tyger-job";
export const LABEL_REPLICA = "tyger-replica";
/** An annotation; also on the Secret, which is there before the pods. */
export const REPLICA_COUNT = "tyger-job-replica-count";

/** An annotation: when the run was created. The cluster dates containers in whole seconds, and none starts before its run. */
export const CREATED_AT = "tyger-run-created-at";

/** Keeps a deleted pod with the exit codes of its containers until we have read them. */
export const FINALIZER = "tyger/exit-recorded";

/** The key of a replica in the Secret of the job: without it, a pod that is created late never executes its main container. */
export const fenceKeyOf = (replica: number): string => `replica-${replica}`;

/** The key in that Secret with the token of a replica's pump. */
export const tokenKeyOf = (replica: number): string => `pump-token-${replica}`;

/** An annotation: the instructions of the pump of the pod. */
export const PUMP_SPEC = "tyger-pump";
/** On the ConfigMap of a pump's program: the hash of the program. */
export const LABEL_PROGRAM = "tyger-pump-program";

/** The labels of everything that belongs to the job of a run. */
export const jobLabelsOf = (installationId: string, { id, uid }: RunIdentity): Record<string, string> => ({
  [LABEL_INSTALLATION]: installationId,
  [LABEL_RUN]: String(id),
  ...(uid === undefined ? {} : { [LABEL_RUN_UID]: uid }),
  [LABEL_JOB]: String(id),
});

/** The job objects of all runs of an installation, or of one number. */
export const jobSelectorOf = (installationId: string, runId?: number): string =>
  [`${LABEL_INSTALLATION}=${installationId}`, runId === undefined ? LABEL_JOB : `${LABEL_JOB}=${runId}`].join(",");

/** The run that labels name; undefined when they name none that could be ours. */
export const runInMeta = ({ labels }: ObjectMeta): RunIdentity | undefined =>
  parseIdentity(labels?.[LABEL_RUN], labels?.[LABEL_RUN_UID]);

/** Whether an object's labels name this run of this installation. */
export function isOfRun(meta: ObjectMeta, installationId: string, run: RunIdentity): boolean {
  const named = runInMeta(meta);
  return meta.labels?.[LABEL_INSTALLATION] === installationId && named !== undefined && isSameRun(named, run);
}

const numberIn = (text: string | undefined): number | undefined =>
  text !== undefined && /^[0-9]{1,6}$/.test(text) ? Number(text) : undefined;

/** Which of how many replicas a pod is; undefined when that makes no sense. */
export function replicaInMeta({ labels, annotations }: ObjectMeta): { index: number; count: number } | undefined {
  const index = numberIn(labels?.[LABEL_REPLICA]);
  const count = numberIn(annotations?.[REPLICA_COUNT]);
  return index === undefined || count === undefined || index >= count ? undefined : { index, count };
}

/** How many replicas the run of a Secret has. */
export const replicaCountIn = ({ annotations }: ObjectMeta): number => numberIn(annotations?.[REPLICA_COUNT]) ?? 1;
