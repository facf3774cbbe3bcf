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

/** The one container of a Docker run; two installations can share an engine, so the name contains the installation. */
export const containerNameOf = (installation: string, runId: number): string =>
  `tyger-${installation}-run-${runId}-main`;

export const LABEL_INSTALLATION = "tyger-installation";
export const LABEL_RUN = "tyger-run";
/** The uid of the run; absent on containers of runs that have none. */
export const LABEL_RUN_UID = "tyger-run-uid";

/** The environment variable that names the pipe of `parameter`: upper case, `-` stays. */
export const pipeVariableOf = (parameter: string): string => `${parameter.toUpperCase()}_PIPE`;

/** In the stack's state folder: the runs that execute and that the database does not know, as the worker saw them last. */
export const LOST_RUNS_FILE = "lost-runs.json";
