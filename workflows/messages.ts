import { defineQuery, defineSignal } from "@temporalio/workflow";
import type { ReplicaState } from "../model/run/lifecycle.ts";
import type { ReplicaChanges } from "../model/run/replica-changes.ts";

/**
 * The signals and queries of a run's workflow. Their names are part of the wire: runs in flight use them. The types say
 * what we send; a workflow takes anything, and drops what it does not know.
 */

/** Asks for cancellation. Asking twice or too late changes nothing, and so does a uid that is not the run's. */
export const cancelRun = defineSignal<[uid?: string]>("cancel");
/** Replica changes that the cluster's watcher has seen. Repeats and stale ones are harmless. */
export const replicasChanged = defineSignal<[changes: ReplicaChanges]>("replicasChanged");
/** As {@link replicasChanged}, of the only replica: workers of older versions send it. */
export const replicaChanged = defineSignal<[state: ReplicaState, uid?: string]>("replicaChanged");
/** A slot may be free. The name on the wire is from when a slot was called a place. */
export const slotFree = defineSignal("placeFree");

export interface RunView {
  runId: number;
  /** The present step of the run, in words. */
  phase: string;
  cancelRequested: boolean;
  /** The first one. */
  replica: ReplicaState;
  /** All of them by index, of a run with several. */
  replicas?: readonly ReplicaState[];
}

/** The run at this moment, as its workflow sees it. */
export const currentRun = defineQuery<RunView>("currentRun");
