import type { RunRecord } from "../../model/run/run.ts";
import { indexesOf } from "../../model/run/replicas.ts";
import { eachOf, poll } from "../../waiting/bounded.ts";
import { isOfRun, jobSecretNameOf, jobSelectorOf } from "../spec/names.ts";
import type { Pod } from "../spec/wire.ts";
import type { StopPorts } from "./stop.ts";

/** Calls at a time for one run: others must not wait behind the thousand replicas of one. */
const AT_ONCE = 16;
const LOOK_MS = 200;
/** A node that takes longer for a deleted pod than this beyond the grace is no longer waited for. */
const FORCE_AFTER_MS = 15_000;

/** Removes what is left of a run: the Secret and the pods of all replicas. A launch that comes later is refused. */
export async function remove(ports: StopPorts, run: RunRecord): Promise<void> {
  const { kube, claims, settings } = ports;
  await eachOf(indexesOf(run.replicaCount), AT_ONCE, (replica) => claims.markRemoved(run, replica));
  const secret = await kube.findSecret(jobSecretNameOf(run.id));
  // Before the pods: one that is created late can no longer execute.
  if (secret?.metadata && isOfRun(secret.metadata, settings.installationId, run)) {
    await kube.deleteSecret(secret.metadata);
  }
  const { pods } = await kube.listPods(jobSelectorOf(settings.installationId, run.id));
  const ours = pods.filter(({ metadata = {} }) => isOfRun(metadata, settings.installationId, run));
  await eachOf(ours, AT_ONCE, (pod) => removePod(ports, pod));
}

async function removePod({ kube, stopGraceSeconds }: StopPorts, pod: Pod): Promise<void> {
  await kube.deletePod(pod, stopGraceSeconds);
  // The node still ends the container: the pod itself is there until it has.
  await kube.releasePod(pod);
  const look = async (): Promise<true | undefined> => {
    const now = await kube.findPod(pod.metadata?.name ?? "");
    return now?.metadata?.uid === pod.metadata?.uid ? undefined : true;
  };
  const withinMs = stopGraceSeconds * 1000 + FORCE_AFTER_MS;
  if (!(await poll(look, { everyMs: LOOK_MS, withinMs }))) await kube.deletePod(pod, 0);
}
