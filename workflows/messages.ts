import { defineQuery, defineSignal } from "@temporalio/workflow";
import type { ReplicaState } from "../model/run/lifecycle.ts";

/** What a program may say to and ask of the workflow of a run. The names are wire: runs in flight use them. */

/** Asks for cancellation; asking twice, or too late, changes nothing. */
export const cancelRun = defineSignal("cancel");
/** What the watcher of the cluster saw; repeats and stale ones are harmless. */
export const replicaChanged = defineSignal<[ReplicaState]>("replicaChanged");
/** A slot may be free. The name on the wire is from when a slot was called a place. */
export const slotFree = defineSignal("placeFree");

export interface RunView {
  runId: number;
  /** In words: what the run is doing. */
  phase: string;
  cancelRequested: boolean;
  replica: ReplicaState;
}

/** The run at this moment, as its workflow sees it. */
export const currentRun = defineQuery<RunView>("currentRun");
