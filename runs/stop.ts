import type { ComputeWriter } from "../model/ports/compute.ts";
import type { RunRecords } from "../model/ports/records.ts";
import type { RunIdentity } from "../model/run/identity.ts";
import { changesIn, type ReplicaChange } from "../model/run/replicas.ts";
import { stopAll } from "./replicas.ts";

export interface StopPorts {
  runs: Pick<RunRecords, "load" | "requestCancel">;
  compute: Pick<ComputeWriter, "stop">;
}

/**
 * Stops the replicas and returns what was observed at their end. A cancel that did not pass through the API is written to
 * the row before anything is stopped: the instant there is the one that an exit is compared with.
 */
export async function stopRun(
  { runs, compute }: StopPorts,
  identity: RunIdentity,
  cancelRequested: boolean,
): Promise<ReplicaChange[]> {
  const run = await runs.load(identity);
  if (cancelRequested) await runs.requestCancel(run.id);
  return changesIn(await stopAll(compute, run));
}
