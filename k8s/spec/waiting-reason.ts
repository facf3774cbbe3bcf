import type { Pod } from "./wire.ts";

/** Stages of a start that takes a moment on every node; they explain nothing. */
const USUAL: ReadonlySet<string> = new Set(["ContainerCreating", "PodInitializing"]);

/** Why a pod has not been started, in the words of the scheduler or the kubelet; undefined while all is as usual. */
export function waitingReasonOf({ status }: Pod): string | undefined {
  const scheduled = status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False") {
    return [scheduled.reason, scheduled.message].filter(Boolean).join(": ") || undefined;
  }
  for (const { name, state } of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const { reason, message } = state?.waiting ?? {};
    if (reason !== undefined && !USUAL.has(reason)) return `${name}: ${message ? `${reason}: ${message}` : reason}`;
  }
  return undefined;
}
