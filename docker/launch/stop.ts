import type { ReplicaState } from "../../model/run/lifecycle.ts";
import type { PumpCommand } from "../../model/run/pump.ts";
import { hasPump } from "../../model/run/pipes.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { settlePump } from "../../waiting/pump-end.ts";
import type { ContainerInfo } from "../engine/engine.ts";
import { localPump } from "../pump/pump-link.ts";
import { containerStateOf, wasCutOff, wasStarted } from "./container-state.ts";
import { discard, fence } from "./fence.ts";
import { inspectSurely } from "./gone.ts";
import { attemptOf, findContainer, findSurely, folderOf, notStarted, type ReplicaPorts } from "./replica.ts";

export interface StopPorts extends ReplicaPorts {
  /** Between SIGTERM and SIGKILL. */
  stopGraceSeconds: number;
}

/** A pump answers a stop at once; one that is suspended must not hold up the end of its job. */
const STOP_HEARD_MS = 1000;

const STOP: PumpCommand = { command: "stop" };

/** Stops a replica and keeps it from being launched; a replica that has already ended stays unchanged. */
export async function stop(ports: StopPorts, run: RunRecord): Promise<ReplicaState> {
  const claim = await ports.claims.markRemoved(run, ports.replica);
  const info = claim ? await fence(ports, run, claim) : await findContainer(ports, run, undefined);
  if (!info && claim?.containerId !== undefined) return stopMissing(ports, run, claim.attempt, claim.containerId);
  return stopFound(ports, run, { info, attempt: claim?.attempt ?? "" });
}

/** Stops a replica whose container was created and that the engine did not find. */
async function stopMissing(
  ports: StopPorts,
  run: RunRecord,
  attempt: string,
  containerId: string,
): Promise<ReplicaState> {
  const info = await findSurely(ports, run, containerId);
  if (info) return stopFound(ports, run, { info, attempt });
  const container = containerStateOf(undefined);
  return hasPump(run) ? { container, pump: await settlePump(localPump(folderOf(ports, run, attempt))) } : { container };
}

/** Stops a container, or undoes an attempt that never started one. */
async function stopFound(
  ports: StopPorts,
  run: RunRecord,
  { info, attempt }: { info: ContainerInfo | undefined; attempt: string },
): Promise<ReplicaState> {
  if (info && wasStarted(info)) return stopStarted(ports, run, info);
  await discard(ports, run, { attempts: [attempt], ...(info && { containerId: info.Id }) });
  return notStarted();
}

async function stopStarted(ports: StopPorts, run: RunRecord, info: ContainerInfo): Promise<ReplicaState> {
  const { engine, stopGraceSeconds } = ports;
  const pump = localPump(folderOf(ports, run, attemptOf(info)));
  const isRunning = info.State.Running;
  // The pump gets the command before the job is killed: the end of a killed job's pipe must not count as the end of its
  // output, and the watcher, which tells the pump that the job has ended, may be quicker than we are.
  if (isRunning && hasPump(run)) await pump.command(STOP, STOP_HEARD_MS);
  if (isRunning) await engine.stop(info.Id, stopGraceSeconds);
  const ended = await inspectSurely(engine, info.Id);
  const container = containerStateOf(ended);
  if (!hasPump(run)) return { container };
  // If its job was stopped, the pump already has the command.
  const jobEnded: PumpCommand = { command: "jobEnded", cutOff: wasCutOff(ended ?? info) };
  return { container, pump: await settlePump(pump, isRunning ? undefined : jobEnded) };
}
