import { setTimeout as sleep } from "node:timers/promises";
import { CodedError } from "../../model/errors.ts";
import type { LaunchClaim, LaunchClaims } from "../../model/ports/compute.ts";
import type { ApiPumps } from "../../model/ports/pump-channel.ts";
import { belongsToAnother } from "../../model/run/identity.ts";
import type { ContainerState, ReplicaState } from "../../model/run/lifecycle.ts";
import { LABEL_INSTALLATION } from "../../model/run/names.ts";
import { hasPump } from "../../model/run/pipes.ts";
import { UNSEEN } from "../../model/run/replicas.ts";
import type { RunRecord } from "../../model/run/run.ts";
import type { Kube } from "../client/kube.ts";
import type { PodSettings } from "../spec/cluster-settings.ts";
import { isOfRun, podNameOf, replicaInMeta, runInMeta } from "../spec/names.ts";
import { sightOf, type PodSight } from "../spec/pod-state.ts";
import type { Pod } from "../spec/wire.ts";
import { withPump } from "./pump.ts";

/** Everything needed to find the replicas of the runs of an installation. */
export interface ReplicaPorts {
  kube: Kube;
  claims: LaunchClaims;
  settings: PodSettings;
  pumps: ApiPumps;
}

/** A pod counts as gone when the cluster has answered twice that it has none of its name, this long apart. */
export const GONE_AFTER_MS = 10_000;
const NEVER_STARTED = "The run was ended before its container was started";

export const notStarted = (): ReplicaState => ({ container: { phase: "Gone", message: NEVER_STARTED } });
export const DISAPPEARED: ContainerState = {
  phase: "Gone",
  message: "The pod disappeared from the cluster; its exit code is unknown",
};

/** The job container of a pod, without a question about its pump. */
export const containerOf = (ports: Pick<ReplicaPorts, "kube" | "settings">, pod: Pod): ContainerState =>
  sightIn(ports, pod).container;

export const sightIn = ({ kube, settings }: Pick<ReplicaPorts, "kube" | "settings">, pod: Pod): PodSight =>
  sightOf(pod, { nowMs: kube.clock.nowMs(), patience: settings.patience });

/** The replica whose pod this is. @throws CodedError Unavailable when its pump cannot be asked */
export const stateOf = (ports: ReplicaPorts, run: RunRecord, replica: number, pod: Pod): Promise<ReplicaState> =>
  withPump(ports, run, replica, sightIn(ports, pod));

/** A replica whose pod was there. */
export const disappeared = (ports: ReplicaPorts, run: RunRecord, replica: number): Promise<ReplicaState> =>
  withPump(ports, run, replica, { container: DISAPPEARED });

/** Whether a pod is that of the replica: the very one that was launched, where that is known. */
export function isReplica(
  { metadata = {} }: Pod,
  { settings }: Pick<ReplicaPorts, "settings">,
  { run, replica, uid }: { run: RunRecord; replica: number; uid?: string | undefined },
): boolean {
  const isOurs = isOfRun(metadata, settings.installationId, run) && replicaInMeta(metadata)?.index === replica;
  return isOurs && (uid === undefined || metadata.uid === uid);
}

/** The pod of the replica; one that is not ours does not count. */
export async function findPod(
  ports: ReplicaPorts,
  run: RunRecord,
  replica: number,
  uid?: string,
): Promise<Pod | undefined> {
  const pod = await ports.kube.findPod(podNameOf(run.id, replica));
  return pod && isReplica(pod, ports, { run, replica, uid }) ? pod : undefined;
}

/** As {@link findPod}, for a pod that was created: undefined only when it is gone. */
export async function findSurely(
  ports: ReplicaPorts,
  run: RunRecord,
  replica: number,
  uid: string,
): Promise<Pod | undefined> {
  const pod = await findPod(ports, run, replica, uid);
  if (pod) return pod;
  await sleep(GONE_AFTER_MS);
  return findPod(ports, run, replica, uid);
}

/** The replica at this moment, regardless of which attempt launched it, and if any did. */
export async function observe(ports: ReplicaPorts, run: RunRecord, replica: number): Promise<ReplicaState> {
  const claim = await ports.claims.find(run, replica);
  const uid = claim?.containerId;
  // We remove pods of runs that were stopped or removed: that one is missing needs no second look then.
  const isExpected = uid !== undefined && claim?.state !== "removed";
  const pod = isExpected ? await findSurely(ports, run, replica, uid) : await findPod(ports, run, replica, uid);
  if (pod) return stateOf(ports, run, replica, pod);
  return uid === undefined ? withoutPod(run, claim) : disappeared(ports, run, replica);
}

/** The state of a replica that has had no pod. */
function withoutPod(run: RunRecord, claim: LaunchClaim | undefined): ReplicaState {
  if (claim && claim.state !== "claimed") return notStarted();
  return hasPump(run) ? { ...UNSEEN, pump: { phase: "Running" } } : UNSEEN;
}

/** The error of an object that has one of our names and is not ours. */
export function foreign(kind: string, { metadata = {} }: Pod, { settings }: ReplicaPorts, run: RunRecord): CodedError {
  const thing = `The ${kind} '${metadata.name}'`;
  const isOfInstallation = metadata.labels?.[LABEL_INSTALLATION] === settings.installationId;
  const isNumbered = isOfInstallation && runInMeta(metadata)?.id === run.id;
  return new CodedError(
    "LaunchFailed",
    isNumbered ? belongsToAnother(thing, run.id) : `${thing} in the namespace '${settings.namespace}' is not ours`,
  );
}
