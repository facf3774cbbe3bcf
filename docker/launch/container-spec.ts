import { join } from "node:path";
import { DROPPED_CAPABILITIES } from "../../model/run/capabilities.ts";
import { expandJobCommand } from "../../model/codespec/job-command.ts";
import {
  LABEL_INSTALLATION,
  LABEL_REPLICA,
  LABEL_REPLICA_COUNT,
  LABEL_RUN,
  LABEL_RUN_UID,
  pipeVariableOf,
} from "../../model/run/names.ts";
import { pipesOf } from "../../model/run/pipes.ts";
import { PUMP_FILES, pipeFileOf } from "../../model/run/pump.ts";
import { quantityValue } from "../../model/codespec/quantity.ts";
import type { RunRecord } from "../../model/run/run.ts";
import type { CreateOptions } from "../engine/engine.ts";

/** Names the launch attempt that made a container; its pipes are in the folder of that name. */
export const LABEL_ATTEMPT = "tyger-attempt";
/** The part of the log prefix that names the container; present when the run has buffers. */
export const LABEL_CONTAINER_NAME = "tyger-run-container-name";

/** The size of a container's log: beyond it the engine drops the oldest part, and the log is then marked as cut. */
const LOG_CAP = { "max-size": "256m", "max-file": "5" } as const;

const DEFAULT_SHM_BYTES = 64 * 1024 * 1024;

export interface ContainerPlace {
  installationId: string;
  /** The index of the replica. */
  replica: number;
  attempt: string;
  /** The folder of the attempt on the host. */
  folder: string;
  /** The runtime of containers without GPUs, where the engine's default would show them all. */
  runtimeWithoutGpu?: string | undefined;
}

/**
 * The container of a replica, as the engine should create it. The folder of pipes is mounted even if it is empty: renaming it
 * makes the engine refuse the start of an attempt that arrives too late.
 * @throws CodedError LaunchFailed
 */
export function createOptionsOf(run: RunRecord, place: ContainerPlace): CreateOptions {
  const { codespec } = run.job;
  const pipes = pipesOf(run);
  const pipesInside = `/run/secrets/${run.id}/${PUMP_FILES.pipes}`;
  const variables = pipes.map(({ parameter }) => [
    pipeVariableOf(parameter),
    `${pipesInside}/${pipeFileOf(parameter)}`,
  ]);
  const { command, args, env } = expandJobCommand(codespec, Object.fromEntries(variables));
  const wantsGpu = codespec.resources?.gpu !== undefined && quantityValue(codespec.resources.gpu) > 0;
  const shm = codespec.resources?.shm;
  return {
    Image: codespec.image,
    // A command without arguments must not get those of the image.
    ...(command?.length ? { Entrypoint: command, Cmd: args ?? [] } : args && { Cmd: args }),
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...(codespec.workingDir === undefined ? {} : { WorkingDir: codespec.workingDir }),
    Tty: false,
    // As that of a pod: a replica knows which one it is.
    ...(run.replicaCount > 1 && { Hostname: `run-${run.id}-job-${place.replica}` }),
    Labels: {
      [LABEL_INSTALLATION]: place.installationId,
      [LABEL_RUN]: String(run.id),
      ...(run.uid === undefined ? {} : { [LABEL_RUN_UID]: run.uid }),
      [LABEL_REPLICA]: String(place.replica),
      [LABEL_REPLICA_COUNT]: String(run.replicaCount),
      [LABEL_ATTEMPT]: place.attempt,
      ...(pipes.length > 0 ? { [LABEL_CONTAINER_NAME]: "main" } : {}),
    },
    HostConfig: {
      // Unlike Binds, a mount whose source is missing is refused instead of created.
      Mounts: [{ Type: "bind", Source: join(place.folder, PUMP_FILES.pipes), Target: pipesInside }],
      ShmSize: shm === undefined ? DEFAULT_SHM_BYTES : Math.ceil(quantityValue(shm)),
      RestartPolicy: { Name: "no" },
      AutoRemove: false,
      CapDrop: DROPPED_CAPABILITIES,
      LogConfig: { Type: "json-file", Config: { ...LOG_CAP } },
      ...(wantsGpu
        ? { DeviceRequests: [{ Driver: "", Count: -1, Capabilities: [["gpu"]] }] }
        : place.runtimeWithoutGpu !== undefined && { Runtime: place.runtimeWithoutGpu }),
    },
  };
}
