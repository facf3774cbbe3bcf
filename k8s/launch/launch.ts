import { randomBytes } from "node:crypto";
import { base32 } from "../../model/buffer/buffer.ts";
import { CodedError } from "../../model/errors.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";
import { hasPump } from "../../model/run/pipes.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { KubeRefusal } from "../client/kube-call.ts";
import { isRefused, lacksServiceAccount } from "../client/kube.ts";
import { jobPodOf, jobSecretOf } from "../spec/job-pod.ts";
import { isOfRun, jobSecretNameOf, podNameOf } from "../spec/names.ts";
import type { Pod } from "../spec/wire.ts";
import { provideProgram, type PumpProgram } from "./program.ts";
import { openPumps, tokensFor } from "./pump.ts";
import { foreign, isReplica, notStarted, observe, stateOf, type ReplicaPorts } from "./replica.ts";
import { stop, type StopPorts } from "./stop.ts";

export interface LaunchPorts extends StopPorts {
  program: PumpProgram;
}

/**
 * Makes the Secret of a run, which lets its pods execute; idempotent. A run whose removal has begun gets none: a pod of it that
 * is created late must not execute.
 * @throws CodedError LaunchFailed, Unavailable
 */
export async function provision(ports: LaunchPorts, run: RunRecord): Promise<void> {
  const { kube, settings } = ports;
  if (await isRemoved(ports, run)) return;
  if (hasPump(run)) await refusable("ConfigMap", () => provideProgram(ports));
  const tokens = tokensFor(ports, run);
  const isMade = await refusable("Secret", () => kube.createSecret(jobSecretOf(run, settings, tokens)));
  const secret = await kube.findSecret(jobSecretNameOf(run.id));
  if (secret && !isOfRun(secret.metadata ?? {}, settings.installationId, run)) {
    throw foreign("Secret", secret, ports, run);
  }
  if (secret) await openPumps(ports, run, secret);
  // A removal that was quicker has not seen it.
  if (isMade && secret?.metadata && (await isRemoved(ports, run))) await kube.deleteSecret(secret.metadata);
}

/** A removal marks the claims of all replicas, a stop that of one. */
async function isRemoved({ claims }: ReplicaPorts, run: RunRecord): Promise<boolean> {
  const known = await claims.findAll(run);
  return known.length >= run.replicaCount && known.every(({ state }) => state === "removed");
}

/**
 * Launches a replica at most once, however often it is called and by however many workers: its pod has a derived name, and is
 * kept by its finalizer until its exit is recorded.
 * @throws CodedError LaunchFailed, Unavailable
 */
export async function launch(ports: LaunchPorts, run: RunRecord, replica: number): Promise<ReplicaState> {
  const { claims } = ports;
  const claim = await claims.claim(run, replica, base32(randomBytes(10)));
  if (!claim) return notStarted();
  if (claim.state !== "claimed") return observe(ports, run, replica);
  const pod = await createOrAdopt(ports, run, replica);
  const isRecorded =
    (await claims.recordContainer(run, replica, claim.attempt, pod.metadata?.uid ?? "")) &&
    (await claims.recordLaunched(run, replica, claim.attempt));
  return isRecorded ? stateOf(ports, run, replica, pod) : endLate(ports, run, replica, pod);
}

async function createOrAdopt(ports: LaunchPorts, run: RunRecord, replica: number): Promise<Pod> {
  const { kube, settings, program } = ports;
  const pump = { ...settings.pump, program: program.name };
  const spec = jobPodOf(run, replica, { ...settings, pump }, kube.clock.nowMs());
  const made = await refusable("pod", () => kube.createPod(spec));
  if (made) return made;
  const there = await kube.findPod(podNameOf(run.id, replica));
  if (!there) throw new CodedError("Unavailable", `The pod '${podNameOf(run.id, replica)}' is just being removed`);
  if (isReplica(there, ports, { run, replica })) return there;
  throw foreign("pod", there, ports, run);
}

/**
 * Ends a pod that was created after its run had been stopped or removed, and waits for its end: its fence is closed, but a pod that
 * was created just before that can have begun.
 */
async function endLate(ports: StopPorts, run: RunRecord, replica: number, pod: Pod): Promise<ReplicaState> {
  const state = await stop(ports, run, replica);
  // As long as the Secret is there, the removal of the run is to come, and it finds the pod.
  if (!(await ports.kube.findSecret(jobSecretNameOf(run.id)))) await ports.kube.releasePod(pod);
  return state;
}

/** @throws CodedError LaunchFailed when the cluster refuses for good */
async function refusable<T>(kind: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (err) {
    if (!(err instanceof KubeRefusal)) throw err;
    // A login that has expired, and a namespace that is just being made, say nothing about the run.
    const code = isRefused(err, 401) || lacksServiceAccount(err) ? "Unavailable" : "LaunchFailed";
    throw new CodedError(code, `The cluster refused the ${kind} of the run: ${err.message}`, { cause: err });
  }
}
