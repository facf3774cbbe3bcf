import type { LogLines, LogQuery } from "./log.ts";
import type { ReplicaState } from "../run/lifecycle.ts";
import type { RunIdentity } from "../run/identity.ts";
import type { RunRecord } from "../run/run.ts";

/** The half of a backend that the API can use: it reads and changes nothing. */
export interface ComputeReader {
  /** Whether the image is on the host (Docker) or can be pulled (Kubernetes). @throws CodedError Unavailable */
  hasImage(image: string): Promise<boolean>;
  /** Whether the engine can give GPUs to a job. */
  hasGpu(): Promise<boolean>;
  /**
   * The log of a run's containers, in time order. Ends when the containers have ended, or at once without `follow`;
   * empty while there is no container. `signal` ends it early without an error.
   */
  logs(run: RunRecord, query: LogQuery, signal: AbortSignal): LogLines;
}

/** The half that activities use. Every call can be repeated. */
export interface ComputeWriter {
  /** Idempotent: folders, secrets. */
  provision(run: RunRecord): Promise<void>;
  /**
   * Launches a replica at most once, even if a process dies meanwhile; a second call finds the first one's claim and reports its state.
   * @throws CodedError LaunchFailed for good, in the engine's words; Unavailable to try again.
   */
  launch(run: RunRecord, replica: number): Promise<ReplicaState>;
  /**
   * SIGTERM, then SIGKILL after the grace; the pump gets `stop`; a later launch is refused.
   * Returns what was observed at the end: the container's own exit when there was one.
   */
  stop(run: RunRecord, replica: number): Promise<ReplicaState>;
  /**
   * The replica's state at this moment, for the reconciler. `Gone` is never the first answer of an engine: it takes 10 s.
   */
  observe(run: RunRecord, replica: number): Promise<ReplicaState>;
  /** Removes the containers, pipes and folders of all replicas, and fences later launches. */
  remove(run: RunRecord): Promise<void>;
  /** The runs of this installation of which the engine or the pipe folders have anything, from one list; also unknown ones. */
  survey(): Promise<RunTrace[]>;
}

/** Everything that is there of a run. */
export interface RunTrace extends RunIdentity {
  /**
   * `Executing` if all of its containers that were started execute, `Ended` if all have ended, `Partly` if some have;
   * `None` if none was started or none is left.
   */
  containers: "Executing" | "Partly" | "Ended" | "None";
  /** How many were started and are left. */
  started: number;
  /** Ends the jobs that execute, typed by a person. */
  endCommand?: string;
}

/** An observation of one of a run's replicas. */
export interface SeenReplica {
  index: number;
  /** How many replicas the run has. */
  count: number;
  state: ReplicaState;
}

export type ReplicaHearer = (run: RunIdentity, seen: SeenReplica) => Promise<void>;

/** The half that the one watcher of a cluster uses. */
export interface ComputeWatcher {
  /** Containers begin some time after their launch, so that only the watcher sees it. */
  startsLater?: true;
  /**
   * Reports each change, and everything again at least each 60 s, until `signal` is aborted. Pumps are also notified of their
   * job's end from here. @throws when the engine is lost; the caller starts it again.
   */
  watch(report: ReplicaHearer, signal: AbortSignal): Promise<void>;
}

/** A launch claim: which attempt can start the container of a replica. Kept in Postgres. */
export interface LaunchClaim {
  runId: number;
  /** Absent for a run without one. */
  runUid?: string;
  replica: number;
  /** A random word; each attempt has a pipe folder of this name. */
  attempt: string;
  containerId?: string;
  /** `removed`: a later launch is refused. */
  state: "claimed" | "launched" | "removed";
}

/** Claims of another run with the same number are never seen and never changed. */
export interface LaunchClaims {
  /**
   * The claim there, or a fresh one by `attempt`; undefined when the run is terminal or its cancel was requested.
   * @throws CodedError LaunchFailed when the claim there is that of another run with this number
   */
  claim(run: RunIdentity, replica: number, attempt: string): Promise<LaunchClaim | undefined>;
  find(run: RunIdentity, replica: number): Promise<LaunchClaim | undefined>;
  /** The claims of all replicas of the run that have one. */
  findAll(run: RunIdentity): Promise<LaunchClaim[]>;
  /** False when `attempt` no longer holds the claim. */
  recordContainer(run: RunIdentity, replica: number, attempt: string, containerId: string): Promise<boolean>;
  recordLaunched(run: RunIdentity, replica: number, attempt: string): Promise<boolean>;
  /** The container was never started and was removed by us: that it is missing says nothing any more. */
  forgetContainer(run: RunIdentity, replica: number, containerId: string): Promise<void>;
  /** Moves an unlaunched claim from one attempt to another; false when another attempt did first. */
  takeOver(run: RunIdentity, replica: number, from: string, to: string): Promise<boolean>;
  /** Writes `removed` whether or not there was a claim, and returns the claim that was there, as it is now. */
  markRemoved(run: RunIdentity, replica: number): Promise<LaunchClaim | undefined>;
}
