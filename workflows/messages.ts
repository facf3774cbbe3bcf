import { defineQuery, defineSignal } from "@temporalio/workflow";
import type { ReplicaState } from "../model/run/lifecycle.ts";

/** The signals and queries of a run's workflow. Their names are part of the wire: runs in flight use them. */

/** Asks for cancellation. Asking twice or too late changes nothing, and so does a uid that is not the run's. */
export const cancelRun = defineSignal<[uid?: string]>("cancel");
/** A state that the cluster's watcher has seen of the run with this uid. Repeats and stale ones are harmless. */
export const replicaChanged = defineSignal<[state: ReplicaState, uid?: string]>("replicaChanged");
/** A slot may be free. The name on the wire is from when a slot was called a place. */
export const slotFree = defineSignal("placeFree");

export interface RunView {
  runId: number;
  /** The present step of the run, in words. */
  phase: string;
  cancelRequested: boolean;
  replica: ReplicaState;
}

/** The run at this moment, as its workflow sees it. */
export const currentRun = defineQuery<RunView>("currentRun");
