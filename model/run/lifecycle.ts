import { isCutOff } from "./cut-off.ts";
import type { TerminalStatus } from "./run.ts";

/** The engine's view of the job container of a replica. Instants are RFC 3339 text as the engine dates them. */
export interface ContainerState {
  phase: "Unknown" | "Created" | "Running" | "Exited" | "Gone";
  startedAt?: string;
  finishedAt?: string;
  exitCode?: number;
  /** The engine's own words where it has any: an out-of-memory kill, a command that does not exist. */
  message?: string;
  /** With `Exited`: the engine itself says that the job was cut off, as by an out-of-memory kill, whatever its exit code. */
  cutOff?: boolean;
}

/** The pump's own report. `Dead`: no result, and nothing is listening on its socket. */
export interface PumpState {
  phase: "Running" | "Succeeded" | "Failed" | "Dead";
  message?: string;
  /**
   * With `Failed`: the pump itself did not fail. It gave up what was not complete because its job was cut off or it was
   * commanded to stop, so why that happened is the run's reason, not `message`.
   */
  cutOff?: boolean;
}

/** One observation of a replica; `pump` is absent when the run has no buffers. */
export interface ReplicaState {
  container: ContainerState;
  pump?: PumpState;
}

/**
 * Why a run failed, for programs: the type of the failure with which its workflow closes. `StepFailed`: it could not be
 * launched or stopped. `RunFailed`: the cause was not kept.
 */
export const FAILURE_CAUSES = [
  "JobFailed",
  "TimedOut",
  "BuffersFailed",
  "ContainerLost",
  "StepFailed",
  "RunFailed",
] as const;
export type FailureCause = (typeof FAILURE_CAUSES)[number];

/** The terminal state of a run, as it is recorded. */
export interface Outcome {
  status: TerminalStatus;
  statusReason?: string;
  /** Of a run that failed; not stored. */
  cause?: FailureCause;
  startedAt?: string;
  finishedAt?: string;
}

const CONTAINER_RANK = { Unknown: 0, Created: 1, Running: 2, Gone: 3, Exited: 4 } as const;
const PUMP_RANK = { Running: 0, Dead: 1, Failed: 2, Succeeded: 2 } as const;

/** For states that arrive from outside. */
export const isContainerPhase = (text: string): text is ContainerState["phase"] => Object.hasOwn(CONTAINER_RANK, text);
export const isPumpPhase = (text: string): text is PumpState["phase"] => Object.hasOwn(PUMP_RANK, text);

/** The further of two observations of one replica, each half by itself; repeats and stale ones are harmless. */
export function later(seen: ReplicaState, next: ReplicaState): ReplicaState {
  const container = isFurther(next.container, seen.container)
    ? { ...startOf(seen.container), ...next.container }
    : seen.container;
  const pump =
    next.pump && (!seen.pump || PUMP_RANK[next.pump.phase] > PUMP_RANK[seen.pump.phase]) ? next.pump : seen.pump;
  return pump ? { container, pump } : { container };
}

/** One that waits to begin can wait for something else by now. */
const isFurther = (next: ContainerState, seen: ContainerState): boolean =>
  CONTAINER_RANK[next.phase] > CONTAINER_RANK[seen.phase] || (next.phase === "Created" && seen.phase === "Created");

const startOf = (state: ContainerState): { startedAt?: string } =>
  state.startedAt === undefined ? {} : { startedAt: state.startedAt };

/** The container will never run again. */
export const hasEnded = (state: ContainerState): boolean => state.phase === "Exited" || state.phase === "Gone";

/** Nothing about the replica can change any more: its container ended and its pump, if any, has its result. */
export const isSettled = (replica: ReplicaState): boolean =>
  hasEnded(replica.container) && (replica.pump === undefined || replica.pump.phase !== "Running");

/** The pump failed or died while its job still runs: the job must be stopped, because its input is not whole. */
export const needsStop = (replica: ReplicaState): boolean =>
  !hasEnded(replica.container) && (replica.pump?.phase === "Failed" || replica.pump?.phase === "Dead");

/** The job ended by itself, and its pump still stores what it wrote. */
export const isStoring = (replica: ReplicaState): boolean =>
  replica.container.phase === "Exited" && replica.pump?.phase === "Running";

/** Why a run is open whose job has ended. */
export const STORING_OUTPUTS = "The job has ended; its outputs are being stored";

/** Milliseconds from `nowMs` until `instant`, at least 1: Temporal reads 0 as something else. */
export const msUntil = (instant: string, nowMs: number): number => Math.max(1, Date.parse(instant) - nowMs);

export interface Ending {
  replica: ReplicaState;
  /** Which one of several it is; absent when the run has only this one. */
  index?: number | undefined;
  /** Set when a cancel was requested, through the API or Temporal. */
  cancelRequestedAt?: string | undefined;
  deadlineAt: string;
  /** Why the run was ended from our side: a launch that failed for good, a terminated workflow. */
  failure?: string | undefined;
  /** The workflow's timer to the deadline fired; clocks can differ by a little. */
  timedOut?: boolean | undefined;
  /** Why the run was waiting to begin. */
  waiting?: string | undefined;
  /** The instant at which this is decided. */
  nowAt: string;
}

/** Clients compare this text. */
const CANCELED_BY_USER = "Canceled by user";

/**
 * The one right end of a run, from everything known about it. The container's own exit counts first: one that it dates
 * before the cancel or the deadline wins, unless its outputs were still being stored and had to be given up.
 */
export function outcomeOf(ending: Ending): Outcome {
  const { replica, index, cancelRequestedAt, deadlineAt, failure, nowAt } = ending;
  const { container, pump } = replica;
  const dates = startOf(container);
  const isInTime = exitedBefore(container, cancelRequestedAt) && exitedBefore(container, deadlineAt);
  if (failure === undefined && isInTime && !wasPumpStopped(container, pump)) {
    return { ...ownOutcome(replica, index), ...dates, finishedAt: container.finishedAt ?? nowAt };
  }
  if (cancelRequestedAt !== undefined && Date.parse(cancelRequestedAt) <= Date.parse(deadlineAt)) {
    return { status: "Canceled", statusReason: CANCELED_BY_USER, ...dates, finishedAt: nowAt };
  }
  if (ending.timedOut || Date.parse(nowAt) >= Date.parse(deadlineAt)) {
    const waiting = ending.waiting === undefined ? "" : `: ${ending.waiting}`;
    return container.startedAt === undefined
      ? {
          status: "Canceled",
          statusReason: `The timeout passed while the run was pending${waiting}`,
          finishedAt: nowAt,
        }
      : failedAs("TimedOut", "The run did not end within its timeout", { ...dates, finishedAt: nowAt });
  }
  if (failure !== undefined) return failedAs("StepFailed", failure, { ...dates, finishedAt: nowAt });
  return { ...ownOutcome(replica, index), ...dates, finishedAt: container.finishedAt ?? nowAt };
}

/** True when the container ended by itself before `instant`; an instant that is not set is never reached. */
function exitedBefore(container: ContainerState, instant: string | undefined): boolean {
  if (container.phase !== "Exited") return false;
  if (instant === undefined || container.finishedAt === undefined) return true;
  return Date.parse(container.finishedAt) < Date.parse(instant);
}

/** Whether the pump gave up outputs because it was commanded to, and not because the job was cut off. */
const wasPumpStopped = ({ exitCode = 0, cutOff = false }: ContainerState, pump: PumpState | undefined): boolean =>
  pump?.cutOff === true && !isCutOff({ exitCode, isOutOfMemory: cutOff });

function ownOutcome({ container, pump }: ReplicaState, index: number | undefined): Outcome {
  const which = index === undefined ? "" : ` (replica ${index})`;
  if (pump && isCause(pump, container)) {
    const own = pump.message ?? "The process that streams the buffers died before it finished";
    return failedAs("BuffersFailed", ((pump.cutOff && container.message) || own) + which);
  }
  if (container.phase !== "Exited") {
    const reason = container.message ?? "The container disappeared; its exit code is unknown";
    return failedAs("ContainerLost", reason + which);
  }
  if (container.exitCode !== 0) {
    const reason = `Main exited with code ${container.exitCode ?? "unknown"}${which}`;
    return failedAs("JobFailed", container.message ? `${reason}: ${container.message}` : reason);
  }
  return { status: "Succeeded" };
}

const failedAs = (cause: FailureCause, statusReason: string, dates: Partial<Outcome> = {}): Outcome => ({
  status: "Failed",
  statusReason,
  cause,
  ...dates,
});

/** Whether the run failed because of its pump: an end that the pump only followed has its own words. */
function isCause(pump: PumpState, container: ContainerState): boolean {
  if (pump.phase !== "Failed" && pump.phase !== "Dead") return false;
  // A container that is removed takes its pump with it, and the pump's last message is then not the cause.
  if (container.phase === "Gone") return false;
  // A job that exits with 0 and lost its outputs all the same has no other reason, unless the engine has one.
  return !pump.cutOff || container.phase !== "Exited" || container.exitCode === 0;
}
