import type { ComputeWriter } from "../model/ports/compute.ts";
import type { ClusterRunRecords, RunRecords } from "../model/ports/records.ts";
import type { LaunchAnswer } from "../model/run/answers.ts";
import type { RunIdentity } from "../model/run/identity.ts";
import type { ReplicaState } from "../model/run/lifecycle.ts";
import { countRunning, indexesOf, type ReplicaChange } from "../model/run/replicas.ts";
import { isTerminal, type RunRecord } from "../model/run/run.ts";
import { eachOf } from "../waiting/bounded.ts";
import { recordedOutcome } from "./end.ts";

/** An engine that makes more containers at once makes none of them sooner. */
const LAUNCHES_AT_ONCE = 8;

export interface LaunchPorts {
  runs: Pick<RunRecords, "recordRunning" | "recordRunningCount">;
  compute: Pick<ComputeWriter, "provision" | "launch">;
}

export interface AdmittedLaunchPorts extends LaunchPorts {
  runs: LaunchPorts["runs"] & Pick<ClusterRunRecords, "load" | "admit">;
  /** Slots of the cluster: how many of its runs can be live at once. */
  maxLiveRuns: number;
}

/**
 * Launches the run if it has a slot or gets one, and if it is not over or about to end. Once `signal` is aborted, no further
 * replica is begun. @throws CodedError as {@link launchReplica}
 */
export async function admitAndLaunch(
  ports: AdmittedLaunchPorts,
  identity: RunIdentity,
  signal: AbortSignal,
): Promise<LaunchAnswer> {
  const run = await ports.runs.load(identity);
  if (isTerminal(run.status)) return { kind: "Over", outcome: recordedOutcome(run) };
  if (run.cancelRequestedAt !== undefined) return { kind: "Canceled" };
  if (!(await ports.runs.admit(run.id, ports.maxLiveRuns))) return { kind: "Queued" };
  return { kind: "Launched", replicas: await launchAll(ports, run, signal) };
}

/** Launches the replicas. After a failure none is begun: the run is stopped, or all of this is repeated. */
async function launchAll(ports: LaunchPorts, run: RunRecord, signal: AbortSignal): Promise<ReplicaChange[]> {
  const failing = new AbortController();
  const mustEnd = AbortSignal.any([signal, failing.signal]);
  await ports.compute.provision(run);
  const changes = await eachOf(indexesOf(run.replicaCount), LAUNCHES_AT_ONCE, async (replica) => {
    if (mustEnd.aborted) return [];
    try {
      return [[replica, await launchReplica(ports, run, replica)] satisfies ReplicaChange];
    } catch (err) {
      failing.abort();
      throw err;
    }
  });
  const launched = changes.flat();
  // The watcher can have seen them start before the run was recorded as running.
  if (run.replicaCount > 1) await ports.runs.recordRunningCount(run, countRunning(launched.map(([, state]) => state)));
  return launched;
}

/** Launches the only replica of a run whose workflow is of an older version. @throws as {@link launchReplica} */
export async function launchRun(ports: LaunchPorts, run: RunRecord): Promise<ReplicaState> {
  await ports.compute.provision(run);
  return launchReplica(ports, run, 0);
}

/**
 * Launches at most once: a second call finds the first one's claim and returns the state of its container.
 * @throws CodedError LaunchFailed for good, Unavailable to try again
 */
async function launchReplica({ runs, compute }: LaunchPorts, run: RunRecord, index: number): Promise<ReplicaState> {
  const replica = await compute.launch(run, index);
  const { phase, startedAt } = replica.container;
  if (phase === "Running" || phase === "Exited") await runs.recordRunning(run.id, run.revision + 1, startedAt);
  return replica;
}
