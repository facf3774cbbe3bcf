import { isCutOff } from "../../model/run/cut-off.ts";
import type { ContainerState, PumpState } from "../../model/run/lifecycle.ts";
import { logInstant } from "../../model/time/instant.ts";
import type { Patience } from "./cluster-settings.ts";
import { pullTroubleOf } from "./image-pull.ts";
import { CREATED_AT } from "./names.ts";
import { MAIN } from "./main-container.ts";
import { PUMP } from "./pump-container.ts";
import { hasPumpIn, pumpInPod } from "./pump-state.ts";
import { UNKNOWN_EXIT, type Terminated } from "./termination.ts";
import { waitingReasonOf } from "./waiting-reason.ts";
import type { ContainerStatus, Pod } from "./wire.ts";

/** One look at a pod. */
export interface PodSight {
  container: ContainerState;
  /** The pump as the pod alone shows it, see {@link pumpInPod}; absent from a pod without one. */
  pump?: PumpState;
  /** When the state changes without a change of the pod, in epoch milliseconds of the cluster. */
  changesAtMs?: number;
}

export interface Look {
  /** The time of the cluster: its instants are compared with it. */
  nowMs: number;
  patience: Patience;
  /** The message of the state that was seen before, if any. */
  earlier?: string | undefined;
}

/** Reasons of a container whose program was not begun. */
const NOT_BEGUN: ReadonlySet<string> = new Set(["StartError", "ContainerCannotRun"]);

/** The job container of a pod and its pump, as the pod shows them. */
export function sightOf(pod: Pod, look: Look): PodSight {
  const sight = jobSightOf(pod, look);
  if (!hasPumpIn(pod)) return sight;
  const pump = pumpInPod(pod, sight.container);
  const trouble =
    pump.phase === "Running" ? pullTroubleOf(pod, { isOfUser, counts: isPump }, look.patience) : undefined;
  const { message = "", finalAtMs } = trouble ?? {};
  if (finalAtMs === undefined) return { ...sight, pump };
  if (finalAtMs <= look.nowMs) return { ...sight, pump: { phase: "Dead", message } };
  return { ...sight, pump, changesAtMs: Math.min(finalAtMs, sight.changesAtMs ?? finalAtMs) };
}

const isOfUser = (container: string): boolean => container === MAIN;
const isPump = (container: string): boolean => container === PUMP;

/**
 * The state of the job container of a pod. `Gone`: it will never end by itself any more, and the message says why. `Created`
 * has the reason for which it waits.
 * @see https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
 */
function jobSightOf(pod: Pod, look: Look): Pick<PodSight, "container" | "changesAtMs"> {
  const { status = {}, metadata = {}, spec } = pod;
  const main = status.containerStatuses?.find(({ name }) => name === MAIN);
  const terminated = main?.state?.terminated;
  if (terminated && isOwnExit(pod, terminated)) return { container: exitOf(pod, terminated) };
  const name = metadata.name ?? "";
  if (status.phase === "Failed" || status.phase === "Succeeded") return gone(endReasonOf(pod));
  const waiting = { ...stateOf(pod, main), ...messageOf(waitingReasonOf(pod)) };
  if (metadata.deletionTimestamp !== undefined) {
    if (!spec?.nodeName) return gone(`The pod '${name}' was deleted before it was put on a node`);
    const lostAtMs = Date.parse(metadata.deletionTimestamp) + look.patience.lostMs;
    if (look.nowMs < lostAtMs) return { container: waiting, changesAtMs: lostAtMs };
    const cause = disruptionOf(pod);
    const why = cause === undefined ? "" : ` (${cause})`;
    return gone(`The node '${spec.nodeName}' was lost: it did not end the deleted pod '${name}'${why}`);
  }
  // Beside a job that runs, only the image of its pump can be missing.
  const trouble =
    waiting.phase === "Running" ? undefined : pullTroubleOf(pod, { isOfUser }, look.patience, look.earlier);
  if (!trouble) return { container: waiting };
  const { message, finalAtMs } = trouble;
  if (finalAtMs !== undefined && finalAtMs <= look.nowMs) return gone(message);
  return { container: { ...waiting, message }, ...(finalAtMs === undefined ? {} : { changesAtMs: finalAtMs }) };
}

const gone = (message: string): Pick<PodSight, "container"> => ({ container: { phase: "Gone", message } });
const messageOf = (message: string | undefined): { message?: string } => (message === undefined ? {} : { message });

/** A container that has not ended. */
function stateOf(pod: Pod, main: ContainerStatus | undefined): ContainerState {
  const startedAt = main?.state?.running?.startedAt;
  return startedAt === undefined ? { phase: "Created" } : { phase: "Running", startedAt: startOf(pod, startedAt) };
}

/** The start of a container, which the cluster cuts to a second: never before its run was created. */
function startOf({ metadata }: Pod, startedAt: string): string {
  const createdAt = metadata?.annotations?.[CREATED_AT];
  const start = logInstant(startedAt);
  if (createdAt === undefined) return start;
  const created = logInstant(createdAt);
  return start < created ? created : start;
}

function exitOf(pod: Pod, terminated: Terminated): ContainerState {
  const { exitCode, reason = "", startedAt } = terminated;
  const message = exitMessageOf(pod, terminated);
  // The container runtime dates the start of a program that it could not begin with 1970.
  const hasBegun = startedAt !== undefined && !NOT_BEGUN.has(reason) && Date.parse(startedAt) > 0;
  const start = hasBegun ? startOf(pod, startedAt) : undefined;
  const end = endOf(pod, terminated);
  // Never before the start, even if the clock of the node was set back in between.
  const finishedAt = start !== undefined && end !== undefined && end < start ? start : end;
  return {
    phase: "Exited",
    ...(start === undefined ? {} : { startedAt: start }),
    ...(finishedAt === undefined ? {} : { finishedAt }),
    exitCode,
    ...messageOf(message),
    ...(reason === "OOMKilled" || wasEndedByCluster(pod) ? { cutOff: true } : {}),
  };
}

/**
 * The end of a container, which the cluster cuts to a second. One that was still running when its pod was deleted ended after
 * that, and after the cancel or the deadline for which we deleted it, even in the same second.
 */
function endOf(pod: Pod, { finishedAt }: Terminated): string | undefined {
  // The client library's types do not have the null of the kubelet.
  if (!finishedAt) return undefined;
  const end = logInstant(finishedAt);
  return wasDeletedBefore(pod, finishedAt) ? end.replace(/\.[0-9]{9}Z$/, ".999999999Z") : end;
}

/** False when nothing is known about the exit, or when a success only answers the signal of an eviction or a deadline. */
const isOwnExit = (pod: Pod, { exitCode, reason }: Terminated): boolean =>
  reason !== UNKNOWN_EXIT && !(exitCode === 0 && pod.status?.phase === "Failed" && wasEndedByCluster(pod));

/** Whether the cluster ended the pod, whatever exit code that gave. */
const wasEndedByCluster = ({ status }: Pod): boolean => Boolean(status?.reason);

function exitMessageOf(pod: Pod, terminated: Terminated): string | undefined {
  const { exitCode, reason = "", message } = terminated;
  if (reason === "OOMKilled") return "The container ran out of memory (OOMKilled)";
  if (exitCode === 0) return undefined;
  if (NOT_BEGUN.has(reason)) return `The program could not be started: ${message ?? reason}`;
  const cause = wordsOf(pod.status) ?? disruptionOf(pod);
  if (cause !== undefined) return cause;
  if (!isCutOff({ exitCode, isOutOfMemory: false })) return undefined;
  if (wasDeletedBefore(pod, terminated.finishedAt)) return `The pod '${pod.metadata?.name}' was deleted`;
  return exitCode === 137 ? "Killed (SIGKILL): by a user, or because memory ran out" : undefined;
}

/** Whether the deletion of the pod was asked for before its container ended; the cluster dates both in whole seconds. */
function wasDeletedBefore({ metadata }: Pod, finishedAt: string | undefined): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = metadata ?? {};
  if (deletionTimestamp === undefined || finishedAt === undefined) return false;
  return Date.parse(finishedAt) >= Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1000;
}

/**
 * Whether the job of a pod, which has ended, was cut off, so that its unfinished outputs do not count: also by a deletion,
 * whatever exit code it gave to that.
 */
export function wasCutOff(pod: Pod, { exitCode = 0, cutOff = false }: ContainerState): boolean {
  const main = pod.status?.containerStatuses?.find(({ name }) => name === MAIN);
  return isCutOff({ exitCode, isOutOfMemory: cutOff }) || wasDeletedBefore(pod, main?.state?.terminated?.finishedAt);
}

/** Why a pod is over whose job container has no exit. */
function endReasonOf(pod: Pod): string {
  const { status, metadata } = pod;
  const init = status?.initContainerStatuses?.find(({ state }) => state?.terminated && state.terminated.exitCode !== 0);
  if (init) return `Sidecar exited with code ${init.state?.terminated?.exitCode}`;
  const main = status?.containerStatuses?.find(({ name }) => name === MAIN);
  const terminated = main?.state?.terminated;
  if (metadata?.deletionTimestamp && terminated && !terminated.startedAt && !disruptionOf(pod)) {
    return `The pod '${metadata.name}' was deleted before its container was started`;
  }
  return wordsOf(status) ?? disruptionOf(pod) ?? wordsOf(terminated) ?? "Failed";
}

/** Why the cluster itself ended or will end the pod: preemption, a lost node, a drain. */
function disruptionOf({ status }: Pod): string | undefined {
  const condition = status?.conditions?.find(({ type }) => type === "DisruptionTarget");
  return condition?.status === "True" ? wordsOf(condition) : undefined;
}

/** `<reason>: <message>`, or whichever there is. */
function wordsOf(of: { reason?: string; message?: string } | undefined): string | undefined {
  const words = [of?.reason, of?.message?.trim()].filter(Boolean);
  return words.length === 0 ? undefined : words.join(": ");
}
