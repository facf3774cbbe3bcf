import { CodedError } from "../../model/errors.ts";
import { pumpPathOf, writerOf, type PumpApi, type PumpSpec } from "../../model/run/pump.ts";
import { hasPump, pipesOf } from "../../model/run/pipes.ts";
import type { RunRecord } from "../../model/run/run.ts";
import type { PodSettings } from "./cluster-settings.ts";
import { jobSecretNameOf, PUMP_SPEC, tokenKeyOf } from "./names.ts";
import type { Container, PodSpec } from "./wire.ts";

/** Moves the bytes between the buffers of the run and the pipes of the job. */
export const PUMP = "pump";
/** Makes the pipes, before the others begin. */
export const PIPES = "pipes";

const PIPES_DIR = "/etc/buffer-fifos";
/** The folder of the pump: its program, its instructions and its token, which no other container mounts. */
const PUMP_DIR = "/etc/tyger-pump";
const PROGRAM = "pump.mjs";
const TOKEN = "token";
const SPEC = "pump.json";
const TERMINATION_FILE = "/dev/termination-log";
/** SIGUSR1 must not open a debugger. A small young generation, because streams make little but large garbage. */
const NODE_FLAGS = ["--disable-sigusr1", "--max-semi-space-size=1"];
/** Of no user that an image has: by number, so that the cluster sees that it is not root. */
const USER_ID = 65_532;

/** As the strictest policy of a cluster demands. */
export const RESTRICTED: NonNullable<Container["securityContext"]> = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  runAsUser: USER_ID,
  runAsGroup: USER_ID,
  seccompProfile: { type: "RuntimeDefault" },
};

export const pipePathInPod = (parameter: string): string => `${PIPES_DIR}/${parameter}`;

/** The mount with the pipes; none for a job without buffers. */
export const pipeMountsOf = (run: RunRecord): NonNullable<Container["volumeMounts"]> =>
  hasPump(run) ? [{ name: PIPES, mountPath: PIPES_DIR }] : [];

/** The parts of a pod that move the data of its job, and what they say about it in its metadata. */
export interface PumpParts {
  initContainers: Container[];
  containers: Container[];
  volumes: NonNullable<PodSpec["volumes"]>;
  annotations: Record<string, string>;
}

/** @throws CodedError LaunchFailed when the server cannot be reached by pods, or a parameter has no buffer */
export function pumpPartsOf(
  run: RunRecord,
  replica: number,
  { pump: { image, serverUrl, program }, imagePullPolicy }: Pick<PodSettings, "pump" | "imagePullPolicy">,
): PumpParts {
  if (serverUrl === undefined || program === undefined) throw new CodedError("LaunchFailed", NO_SERVER_URL);
  const own = { image, imagePullPolicy, securityContext: RESTRICTED };
  const pipesMount = { name: PIPES, mountPath: PIPES_DIR };
  const paths = pipesOf(run).map(({ parameter }) => pipePathInPod(parameter));
  return {
    initContainers: [
      { ...own, name: PIPES, command: ["mkfifo", "-m", "0666", "--", ...paths], volumeMounts: [pipesMount] },
    ],
    containers: [
      {
        ...own,
        name: PUMP,
        command: ["node", ...NODE_FLAGS, `${PUMP_DIR}/${PROGRAM}`, PUMP_DIR],
        volumeMounts: [pipesMount, { name: PUMP, mountPath: PUMP_DIR, readOnly: true }],
        terminationMessagePath: TERMINATION_FILE,
      },
    ],
    volumes: [
      { name: PIPES, emptyDir: {} },
      {
        name: PUMP,
        projected: {
          sources: [
            { configMap: { name: program, items: [{ key: PROGRAM, path: PROGRAM }] } },
            { secret: { name: jobSecretNameOf(run.id), items: [{ key: tokenKeyOf(replica), path: TOKEN }] } },
            {
              downwardAPI: { items: [{ path: SPEC, fieldRef: { fieldPath: `metadata.annotations['${PUMP_SPEC}']` } }] },
            },
          ],
        },
      },
    ],
    annotations: { [PUMP_SPEC]: JSON.stringify(specOf(run, replica, serverUrl)) },
  };
}

/** Why a cluster cannot have jobs with buffers. */
export const NO_SERVER_URL =
  "Jobs with buffers need a URL at which pods reach this server: set 'dataPlane.publicUrl' in its configuration file";

/** The ConfigMap of this name has the program of pumps. */
export const programFileOf = (text: string): Record<string, string> => ({ [PROGRAM]: text });

/** The instructions of the pump. They contain no secret: everyone who can read pods can read them. */
function specOf(run: RunRecord, replica: number, url: string): PumpSpec {
  const api: PumpApi = { url, path: pumpPathOf(run, replica), tokenFile: TOKEN };
  const place = { api, accessTtl: run.bufferAccessTtl };
  return {
    runId: run.id,
    channel: api,
    pipes: pipesOf(run).map((pipe) => ({ ...pipe, place, path: pipePathInPod(pipe.parameter) })),
    writer: writerOf(run, replica),
    terminationFile: TERMINATION_FILE,
  };
}
