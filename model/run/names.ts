/** Names are derived, so that repeating is harmless; those that Temporal and Docker see are wire. */

/** The workflow of a run; `installation` is the random id born with the database. */
export const workflowIdOf = (installation: string, runId: number): string => `${installation}-run-${runId}`;

/** The run of a workflow id, or undefined when the id is not one of ours. */
export function runIdOf(installation: string, workflowId: string): number | undefined {
  const prefix = `${installation}-run-`;
  if (!workflowId.startsWith(prefix)) return undefined;
  const digits = workflowId.slice(prefix.length);
  return /^[0-9]+$/.test(digits) ? Number(digits) : undefined;
}

/** The cluster of a server whose configuration names none. Rows, task queues and leases have had it since before clusters. */
export const SOLE_CLUSTER = "docker";

/** The task queue on which the workers of a cluster take runs. */
export const taskQueueOf = (installation: string, cluster: string): string => `${installation}-${cluster}`;

/**
 * The installation as the engine of a cluster sees it, in names and labels of containers: two clusters that have one engine by
 * mistake do each other no harm.
 */
export const engineScopeOf = (installation: string, cluster: string): string =>
  cluster === SOLE_CLUSTER ? installation : `${installation}-${cluster}`;

/** The folder for what a cluster's runs have on this machine. */
export const runsFolderOf = (cluster: string): string => (cluster === SOLE_CLUSTER ? "runs" : `runs-${cluster}`);

/** The singleton workflow that watches a cluster. */
export const watcherIdOf = (installation: string, cluster: string): string => `${installation}-watch-${cluster}`;

/** The lease of the worker that repairs the runs of a cluster. */
export const reconcilerLeaseOf = (cluster: string): string => `reconciler-${cluster}`;

/** The container of a replica on Docker; two installations can share an engine, so the name contains the installation. */
export const containerNameOf = (installation: string, runId: number, replica: number): string =>
  `tyger-${installation}-run-${runId}-main${replica === 0 ? "" : `-${replica}`}`;

export const LABEL_INSTALLATION = "tyger-installation";
export const LABEL_RUN = "tyger-run";
/** The uid of the run; absent on containers of runs that have none. */
export const LABEL_RUN_UID = "tyger-run-uid";
/** The index of the replica; absent on containers of versions that launched one replica a run. */
export const LABEL_REPLICA = "tyger-replica";
/** How many replicas the run has; absent as {@link LABEL_REPLICA} is. */
export const LABEL_REPLICA_COUNT = "tyger-job-replica-count";

/** Which of how many replicas labels name: the only one where they say nothing; undefined when they make no sense. */
export function replicaInLabels(
  labels: Record<string, string> | undefined,
): { index: number; count: number } | undefined {
  const { [LABEL_REPLICA]: index = "0", [LABEL_REPLICA_COUNT]: count = "1" } = labels ?? {};
  const isNumber = (text: string): boolean => /^[0-9]{1,6}$/.test(text);
  if (!isNumber(index) || !isNumber(count) || Number(index) >= Number(count)) return undefined;
  return { index: Number(index), count: Number(count) };
}

/** The environment variable that names the pipe of `parameter`: upper case, `-` stays. */
export const pipeVariableOf = (parameter: string): string => `${parameter.toUpperCase()}_PIPE`;

/** In the stack's state folder: the runs that execute and that the database does not know, as the worker saw them last. */
export const LOST_RUNS_FILE = "lost-runs.json";
