import type { ReplicaState } from "../run/lifecycle.ts";

/** How the workflow of a run ended, or that it did not. `Gone`: Temporal knows nothing about it. */
export type WorkflowPhase = "Open" | "Completed" | "Terminated" | "Failed" | "Gone";

/** The workflows of one cluster's runs. Starting one twice and signaling a closed one change nothing and are not errors. */
export interface RunWorkflows {
  start: (runId: number) => Promise<void>;
  cancel: (runId: number) => Promise<void>;
  /** Tells a run's workflow what was observed of its replica. */
  reportReplica: (runId: number, state: ReplicaState) => Promise<void>;
  /** Tells these runs that a slot may be free; each then asks for admission. */
  offerSlots: (runIds: readonly number[]) => Promise<void>;
  phaseOf: (runId: number) => Promise<WorkflowPhase>;
  /** Run ids of all open workflows. The list can be a second behind. */
  openIds: () => Promise<Set<number>>;
}

/** The API's calls to workflows: no request waits for them, and the reconciler makes up for a lost one. */
export interface BackgroundCalls {
  start: (runId: number) => void;
  cancel: (runId: number) => void;
}
