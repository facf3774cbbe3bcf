import type { Codespec, JobCodespec, WorkerCodespec } from "../codespec/codespec.ts";

/** The guide's words. Terminal states never change and a status never goes back. */
export const RUN_STATUSES = ["Pending", "Running", "Failed", "Succeeded", "Canceling", "Canceled"] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];

const TERMINAL_STATUSES = ["Failed", "Succeeded", "Canceled"] as const;
export type TerminalStatus = (typeof TERMINAL_STATUSES)[number];

export const isTerminal = (status: RunStatus): status is TerminalStatus =>
  (TERMINAL_STATUSES as readonly RunStatus[]).includes(status);

export const DEFAULT_TIMEOUT_SECONDS = 43_200;

/** The job of a run; `codespec` is the resolved, frozen object without name, version and createdAt. */
export interface JobTarget {
  codespec: JobCodespec;
  buffers?: Record<string, string>;
  tags?: Record<string, string>;
  /** TimeSpan `[d.]hh:mm:ss`. */
  bufferTtl?: string;
  nodePool?: string;
  replicas?: number;
}

export interface WorkerTarget {
  codespec: WorkerCodespec;
  nodePool?: string;
  replicas?: number;
}

/** The part of a run that the client decides. */
export interface StatedRun {
  job: JobTarget;
  worker?: WorkerTarget;
  timeoutSeconds: number;
  cluster?: string;
  tags?: Record<string, string>;
  /** TimeSpan, `01:00:00` unless the client asked for less. */
  bufferAccessTtl: string;
}

/** A codespec as a request gives it: whole, or by its name; then the latest version, unless one is named. */
export type CodespecChoice = { inline: Codespec } | { name: string; version?: number };

/** A request for a run, decoded and with its defaults. */
export interface RunRequest extends Omit<StatedRun, "job" | "worker"> {
  kind?: "user" | "system";
  job: Omit<JobTarget, "codespec"> & { codespec: CodespecChoice };
  worker?: Omit<WorkerTarget, "codespec"> & { codespec: CodespecChoice };
}

/**
 * A run as clients see it. Instants are RFC 3339 text in UTC with offset `+00:00` and at most microseconds
 * (`2024-01-25T18:20:49.951262+00:00`); the value that is shown is exactly the one that is stored and compared.
 */
export interface Run extends StatedRun {
  id: number;
  kind?: "system";
  eTag: string;
  status: RunStatus;
  statusReason?: string;
  runningCount?: number;
  createdAt: string;
  startedAt?: string;
  finishedAt?: string;
}

/** A run with the server's own fields, which no client sees. */
export interface RunRecord extends Run {
  /** With the number, which run this is; absent for a run that was created before runs had uids. */
  uid?: string;
  /** Where it runs, also when the server has only one and shows none. */
  cluster: string;
  /** `name/versions/N` of the codespec that the run was made from; absent for an inline one. */
  codespecRef?: string;
  /**
   * How many replicas it really has, fixed at its creation. A run of a version that launched one replica has one, whatever
   * was asked for.
   */
  replicaCount: number;
  revision: number;
  cancelRequestedAt?: string;
  workflowStartedAt?: string;
  admittedAt?: string;
  /** When its logs were archived; from then on its containers can be removed. */
  archivedAt?: string;
  /** Where its log is archived; absent for one that is older than locations. */
  logLocation?: string;
}

/** The instant at which the run's time is up: counted from creation, even while it was queued. */
export const deadlineOf = (run: { createdAt: string; timeoutSeconds: number }): string =>
  new Date(Date.parse(run.createdAt) + run.timeoutSeconds * 1000).toISOString();
