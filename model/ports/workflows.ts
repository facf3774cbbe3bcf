import type { StartedRun } from "../run/argument.ts";
import type { RunIdentity } from "../run/identity.ts";
import type { ReplicaChange } from "../run/replicas.ts";
import type { Tagging } from "../run/tagging.ts";

/**
 * How the workflow of a run closed, or that it did not. How the run ended is in its row alone. `Gone`: Temporal knows nothing about it. `Foreign`: the workflow
 * with the run's number is that of another run.
 */
export type WorkflowPhase = "Open" | "Completed" | "Canceled" | "Terminated" | "Failed" | "Gone" | "Foreign";

/** The workflows of runs. Starting one twice and signaling a closed one change nothing and are not errors. */
export interface RunWorkflows {
  /** @throws CodedError Conflict when the workflow with the run's number is that of another run */
  start: (run: StartedRun) => Promise<void>;
  cancel: (run: RunIdentity) => Promise<void>;
  /** Closes the run's open workflow, in the execution that it has at this moment. Temporal shows the reason. */
  terminate: (run: RunIdentity, reason: string) => Promise<void>;
  /** Tells a run's workflow what was observed of its replicas, in one signal. */
  reportReplicas: (run: RunIdentity, changes: readonly ReplicaChange[], tagging?: Tagging) => Promise<void>;
  /** Tells these runs that a slot may be free; each then asks for admission. */
  offerSlots: (runIds: readonly number[]) => Promise<void>;
  phaseOf: (run: RunIdentity) => Promise<WorkflowPhase>;
  /** The highest number of a run of these clusters whose workflow was started after `since`; 0 without any. */
  highestNumber: (clusters: readonly string[], since: string | undefined) => Promise<number>;
}

/** The workflows of one cluster. */
export interface ClusterWorkflows extends RunWorkflows {
  /** Starts the workflow that watches the cluster, unless it is open. */
  startWatcher: () => Promise<void>;
  /** The runs of all open workflows of the cluster's runs, by number. The list can be a second behind. */
  openRuns: () => Promise<Map<number, RunIdentity>>;
  /** How many those are. */
  countOpen: () => Promise<number>;
}

/** The API's calls to workflows: no request waits for them, and the reconciler makes up for a lost one. */
export interface BackgroundCalls {
  start: (run: StartedRun) => void;
  cancel: (run: RunIdentity) => void;
}
