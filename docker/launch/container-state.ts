import { logInstant } from "../../model/time/instant.ts";
import { isCutOff } from "../../model/run/cut-off.ts";
import { isSameRun, parseIdentity, type RunIdentity } from "../../model/run/identity.ts";
import type { ContainerState } from "../../model/run/lifecycle.ts";
import { LABEL_INSTALLATION, LABEL_RUN, LABEL_RUN_UID, replicaInLabels } from "../../model/run/names.ts";
import type { ContainerInfo } from "../engine/engine.ts";

/** How the engine writes an instant that has not happened yet. */
const NEVER = "0001-01-01T00:00:00Z";

/** The state of an inspected container; `Gone` if there is none. */
export function containerStateOf(info: ContainerInfo | undefined): ContainerState {
  if (!info) return { phase: "Gone" };
  const { Running, ExitCode, OOMKilled, Error: error } = info.State;
  if (!wasStarted(info)) return { phase: "Created" };
  const startedAt = logInstant(info.State.StartedAt);
  if (Running) return { phase: "Running", startedAt };
  const finishedAt = logInstant(info.State.FinishedAt);
  const killed = ExitCode === 137 ? "Killed (SIGKILL): by a user, or because memory ran out" : undefined;
  const message = OOMKilled ? "The container ran out of memory (OOMKilled)" : error || killed;
  return {
    phase: "Exited",
    startedAt,
    // Never before the start, even if the clock of the engine was set back in between.
    finishedAt: finishedAt < startedAt ? startedAt : finishedAt,
    exitCode: ExitCode,
    ...(message ? { message } : {}),
    ...(OOMKilled ? { cutOff: true } : {}),
  };
}

/** Whether the job of a container that has ended was cut off, or ended by itself. */
export const wasCutOff = ({ State: { ExitCode: exitCode, OOMKilled: isOutOfMemory } }: ContainerInfo): boolean =>
  isCutOff({ exitCode, isOutOfMemory });

/** Whether the engine has executed it: starting it would execute it again. */
export const wasStarted = (info: ContainerInfo): boolean => info.State.StartedAt !== NEVER;

/** Whether its labels name this replica of this run of this installation. */
export function isContainerOf(info: ContainerInfo, installationId: string, run: RunIdentity, replica: number): boolean {
  const labels = info.Config.Labels;
  const named = runInLabels(labels);
  const isOfRun = labels[LABEL_INSTALLATION] === installationId && named !== undefined && isSameRun(named, run);
  return isOfRun && replicaInLabels(labels)?.index === replica;
}

/** The run that labels name; undefined when they name none that could be ours. */
export const runInLabels = (labels: Record<string, string> | undefined): RunIdentity | undefined =>
  parseIdentity(labels?.[LABEL_RUN], labels?.[LABEL_RUN_UID]);
