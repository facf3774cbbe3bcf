import { CodedError } from "../../model/errors.ts";
import { hasEnded, type ReplicaState } from "../../model/run/lifecycle.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { poll } from "../../waiting/bounded.ts";
import { fenceKeyOf, isOfRun, jobSecretNameOf } from "../spec/names.ts";
import { disappeared, findPod, findSurely, notStarted, stateOf, type ReplicaPorts } from "./replica.ts";

export interface StopPorts extends ReplicaPorts {
  /** Between SIGTERM and SIGKILL. */
  stopGraceSeconds: number;
}

const LOOK_MS = 200;
/** How long one call waits for the node beyond the grace; a lost node needs several. */
const END_MS = 30_000;

/** Stops a replica and keeps it from being launched; a replica that has already ended stays unchanged. */
export async function stop(ports: StopPorts, run: RunRecord, replica: number): Promise<ReplicaState> {
  const { kube, claims, settings, stopGraceSeconds } = ports;
  const claim = await claims.markRemoved(run, replica);
  // Before the look for a pod: one that is created after it can no longer execute.
  const secret = await kube.findSecret(jobSecretNameOf(run.id));
  if (secret && isOfRun(secret.metadata ?? {}, settings.installationId, run)) {
    await kube.dropSecretKey(jobSecretNameOf(run.id), fenceKeyOf(replica));
  }
  const uid = claim?.containerId;
  const pod = uid === undefined ? await findPod(ports, run, replica) : await findSurely(ports, run, replica, uid);
  const missing = uid === undefined ? notStarted() : disappeared();
  if (!pod) return missing;
  const before = stateOf(ports, pod);
  if (hasEnded(before.container)) return before;
  await kube.deletePod(pod, stopGraceSeconds);
  const look = async (): Promise<ReplicaState | undefined> => {
    const now = await findPod(ports, run, replica, pod.metadata?.uid);
    if (!now) return missing;
    const state = stateOf(ports, now);
    return hasEnded(state.container) ? state : undefined;
  };
  const ended = await poll(look, { everyMs: LOOK_MS, withinMs: stopGraceSeconds * 1000 + END_MS });
  if (ended) return ended;
  throw new CodedError("Unavailable", `The node '${pod.spec?.nodeName}' has not ended the pod '${pod.metadata?.name}'`);
}
