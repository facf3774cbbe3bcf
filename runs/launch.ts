import type { ComputeWriter } from "../model/ports/compute.ts";
import type { RunRecords } from "../model/ports/records.ts";
import type { ReplicaState } from "../model/run/lifecycle.ts";
import type { RunRecord } from "../model/run/run.ts";

export interface LaunchPorts {
  runs: Pick<RunRecords, "recordRunning">;
  compute: Pick<ComputeWriter, "provision" | "launch">;
}

/**
 * Launches at most once: a second call finds the first one's claim and returns the state of its container.
 * @throws CodedError LaunchFailed for good, Unavailable to try again
 */
export async function launchRun({ runs, compute }: LaunchPorts, run: RunRecord): Promise<ReplicaState> {
  await compute.provision(run);
  const replica = await compute.launch(run);
  const { phase, startedAt } = replica.container;
  if (phase === "Running" || phase === "Exited") await runs.recordRunning(run.id, run.revision + 1, startedAt);
  return replica;
}
