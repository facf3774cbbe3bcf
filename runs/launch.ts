import type { ComputeWriter } from "../model/ports/compute.ts";
import type { ClusterRunRecords, RunRecords } from "../model/ports/records.ts";
import type { LaunchAnswer } from "../model/run/answers.ts";
import type { RunIdentity } from "../model/run/identity.ts";
import type { ReplicaState } from "../model/run/lifecycle.ts";
import { isTerminal, type RunRecord } from "../model/run/run.ts";
import { recordedOutcome } from "./end.ts";

export interface LaunchPorts {
  runs: Pick<RunRecords, "recordRunning">;
  compute: Pick<ComputeWriter, "provision" | "launch">;
}

export interface AdmittedLaunchPorts extends LaunchPorts {
  runs: Pick<ClusterRunRecords, "recordRunning" | "load" | "admit">;
  /** Slots of the cluster: how many of its runs can be live at once. */
  maxLiveRuns: number;
}

/** Launches the run if it has a slot or gets one, and if it is not over or about to end. @throws CodedError as {@link launchRun} */
export async function admitAndLaunch(ports: AdmittedLaunchPorts, identity: RunIdentity): Promise<LaunchAnswer> {
  const run = await ports.runs.load(identity);
  if (isTerminal(run.status)) return { kind: "Over", outcome: recordedOutcome(run) };
  if (run.cancelRequestedAt !== undefined) return { kind: "Canceled" };
  if (!(await ports.runs.admit(run.id, ports.maxLiveRuns))) return { kind: "Queued" };
  return { kind: "Launched", replicas: [[0, await launchRun(ports, run)]] };
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
