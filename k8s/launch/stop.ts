import { CodedError } from "../../model/errors.ts";
import { hasEnded, type ContainerState, type PumpState, type ReplicaState } from "../../model/run/lifecycle.ts";
import type { PumpCommand } from "../../model/run/pump.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { poll } from "../../waiting/bounded.ts";
import { settlePump } from "../../waiting/pump-end.ts";
import { fenceKeyOf, isOfRun, jobSecretNameOf } from "../spec/names.ts";
import { wasCutOff } from "../spec/pod-state.ts";
import { isPumpRunning, judgePump } from "../spec/pump-state.ts";
import type { Pod } from "../spec/wire.ts";
import { channelOf } from "./pump.ts";
import {
  containerOf,
  disappeared,
  findPod,
  findSurely,
  notStarted,
  sightIn,
  stateOf,
  type ReplicaPorts,
} from "./replica.ts";

export interface StopPorts extends ReplicaPorts {
  /** Between SIGTERM and SIGKILL. */
  stopGraceSeconds: number;
}

const LOOK_MS = 200;
/** How long one call waits for the node beyond the grace; a lost node needs several. */
const END_MS = 30_000;
/** A pump answers a stop at once; one that is suspended must not hold up the end of its job. */
const STOP_HEARD_MS = 1000;

/** Stops a replica and keeps it from being launched; a replica that has already ended stays unchanged. */
export async function stop(ports: StopPorts, run: RunRecord, replica: number): Promise<ReplicaState> {
  const { kube, claims, settings } = ports;
  const claim = await claims.markRemoved(run, replica);
  // Before the look for a pod: one that is created after it can no longer execute.
  const secret = await kube.findSecret(jobSecretNameOf(run.id));
  if (secret && isOfRun(secret.metadata ?? {}, settings.installationId, run)) {
    await kube.dropSecretKey(jobSecretNameOf(run.id), fenceKeyOf(replica));
  }
  const uid = claim?.containerId;
  const pod = uid === undefined ? await findPod(ports, run, replica) : await findSurely(ports, run, replica, uid);
  if (!pod) return uid === undefined ? notStarted() : disappeared(ports, run, replica);
  const before = await stateOf(ports, run, replica, pod);
  const { container, pump } = before;
  if (hasEnded(container)) {
    if (pump?.phase !== "Running") return before;
    const jobEnded: PumpCommand = { command: "jobEnded", cutOff: wasCutOff(pod, container) };
    return settle(ports, run, replica, { state: before, jobEnded });
  }
  // The pump gets the command before the job is killed: the end of a killed job's pipe must not count as the end of its
  // output, and the watcher, which tells the pump that the job has ended, can be quicker than we are. One that has failed
  // gets it too: it holds the pipes, and until it ends, a node reports nothing about a pod that is deleted.
  const heardMs = isPumpRunning(pod) ? STOP_HEARD_MS : 0;
  if (pump) await channelOf(ports, run, replica).command({ command: "stop" }, heardMs);
  const ended = await endPod(ports, run, replica, pod);
  return pump?.phase === "Running" ? settle(ports, run, replica, { state: ended }) : ended;
}

/** Deletes a pod, and waits for the end of its job. @throws CodedError Unavailable when its node does not end it */
async function endPod(ports: StopPorts, run: RunRecord, replica: number, pod: Pod): Promise<ReplicaState> {
  const { kube, stopGraceSeconds } = ports;
  await kube.deletePod(pod, stopGraceSeconds);
  const look = async (): Promise<ReplicaState | undefined> => {
    const now = await findPod(ports, run, replica, pod.metadata?.uid);
    if (!now) return disappeared(ports, run, replica);
    return hasEnded(containerOf(ports, now)) ? stateOf(ports, run, replica, now) : undefined;
  };
  const ended = await poll(look, { everyMs: LOOK_MS, withinMs: stopGraceSeconds * 1000 + END_MS });
  if (ended) return ended;
  throw new CodedError("Unavailable", `The node '${pod.spec?.nodeName}' has not ended the pod '${pod.metadata?.name}'`);
}

/** Ends the pump of a job that is over; `jobEnded` says how, unless the job was stopped. */
async function settle(
  ports: StopPorts,
  run: RunRecord,
  replica: number,
  { state, jobEnded }: { state: ReplicaState; jobEnded?: PumpCommand },
): Promise<ReplicaState> {
  const { container, pump } = state;
  if (pump?.phase === "Running") {
    const sight = await settlePump(channelOf(ports, run, replica), jobEnded);
    const pod = await findPod(ports, run, replica);
    return given(container, judgePump((pod && sightIn(ports, pod).pump) ?? pump, sight));
  }
  return pump ? given(container, pump) : state;
}

/** The end of a pump that was there and got its command: what it did not complete does not count, and the run does not fail because of it. */
const given = (container: ContainerState, pump: PumpState): ReplicaState => ({
  container,
  pump: pump.phase === "Dead" ? { ...pump, phase: "Failed", cutOff: true } : pump,
});
