import type { PumpSight } from "../../model/ports/pump-channel.ts";
import type { ContainerState, PumpState } from "../../model/run/lifecycle.ts";
import { parseResult } from "../../model/run/pump-messages.ts";
import { stateOfResult } from "../../model/run/pump.ts";
import { PUMP } from "./pump-container.ts";
import { UNKNOWN_EXIT, type Terminated } from "./termination.ts";
import type { Pod } from "./wire.ts";

/** Whether a pod has a pump. */
export const hasPumpIn = ({ spec }: Pod): boolean => spec?.containers.some(({ name }) => name === PUMP) ?? false;

/** Whether the pump of a pod can be asked to do something: it has begun, and has not ended. */
export const isPumpRunning = ({ status }: Pod): boolean =>
  status?.containerStatuses?.some(({ name, state }) => name === PUMP && state?.running !== undefined) ?? false;

/**
 * The pump as its pod alone shows it, beside a job container in this state: with its result, `Dead` without one, and `Running`
 * as long as it can still have one. Only its channel knows about failures of a running one.
 */
export function pumpInPod(pod: Pod, container: ContainerState): PumpState {
  const status = pod.status?.containerStatuses?.find(({ name }) => name === PUMP);
  const terminated = status?.state?.terminated;
  if (terminated && terminated.reason !== UNKNOWN_EXIT) return endOf(terminated);
  const { phase } = pod.status ?? {};
  // No container of such a pod runs, or what runs is out of reach and can reach no buffer once the run is over.
  const isOver = phase === "Failed" || phase === "Succeeded" || container.phase === "Gone";
  return isOver ? { phase: "Dead" } : { phase: "Running" };
}

function endOf({ exitCode, reason, message }: Terminated): PumpState {
  const result = resultIn(message);
  // A success that the exit contradicts is not one.
  if (result?.status === "Succeeded" && exitCode === 0) return { phase: "Succeeded" };
  if (result?.status === "Failed") return asSidecar(stateOfResult(result), exitCode);
  const cause = [
    reason === "Error" || reason === "Completed" ? undefined : reason,
    result ? undefined : message?.trim(),
  ];
  const why = cause.filter(Boolean).join(": ") || "it left no result";
  return { phase: "Dead", message: `Sidecar exited with code ${exitCode}: ${why}` };
}

function resultIn(message: string | undefined): ReturnType<typeof parseResult> {
  try {
    return parseResult(JSON.parse(message ?? ""));
  } catch {
    return undefined;
  }
}

/** Of a pump that failed by itself, and ends when its job has been stopped. */
const FAILURE_EXIT = 1;

/**
 * The pump of a replica, from its pod and its channel. The pod is asked first: silence on the channel can mean anything, but what
 * the pump has said there counts where the pod has nothing from it.
 */
export function judgePump(inPod: PumpState, sight: PumpSight): PumpState {
  if (inPod.phase === "Succeeded" || inPod.phase === "Failed") return inPod;
  if (sight.phase === "Succeeded") return sight;
  if (sight.phase === "Failed") return asSidecar(sight, FAILURE_EXIT);
  return inPod;
}

/** The failure of a pump, as clients know those of the helper containers of a job. */
const asSidecar = (state: PumpState, exitCode: number): PumpState => {
  const said = `Sidecar exited with code ${exitCode}`;
  return { ...state, message: state.message === undefined ? said : `${said}: ${state.message}` };
};
