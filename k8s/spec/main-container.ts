import type { CodespecResources } from "../../model/codespec/codespec.ts";
import { expandJobCommand } from "../../model/codespec/job-command.ts";
import { DROPPED_CAPABILITIES } from "../../model/run/capabilities.ts";
import { pipeVariableOf } from "../../model/run/names.ts";
import { pipesOf } from "../../model/run/pipes.ts";
import type { RunRecord } from "../../model/run/run.ts";
import type { PodSettings } from "./cluster-settings.ts";
import { fenceKeyOf, jobSecretNameOf } from "./names.ts";
import { wantsGpu } from "./placement.ts";
import { pipeMountsOf, pipePathInPod } from "./pump-container.ts";
import type { Container, PodSpec } from "./wire.ts";

export const MAIN = "main";
const SHM = "shm";
const RUN_ID_VARIABLE = "TYGER_RUN_ID";

/**
 * The container of the job.
 * @throws CodedError InvalidInput when its variables grow beyond any use, LaunchFailed when a parameter has no buffer
 */
export function mainContainerOf(
  run: RunRecord,
  replica: number,
  { imagePullPolicy }: Pick<PodSettings, "imagePullPolicy">,
): Container {
  const { codespec } = run.job;
  const pipes = pipesOf(run).map(({ parameter }) => [pipeVariableOf(parameter), pipePathInPod(parameter)]);
  const own = { [RUN_ID_VARIABLE]: String(run.id), ...Object.fromEntries(pipes) };
  const { command, args, env } = expandJobCommand(codespec, own);
  const given = Object.entries(env).filter(([name]) => name !== RUN_ID_VARIABLE);
  const volumeMounts = [
    ...pipeMountsOf(run),
    ...(codespec.resources?.shm === undefined ? [] : [{ name: SHM, mountPath: "/dev/shm" }]),
  ];
  const fence = { name: jobSecretNameOf(run.id), key: fenceKeyOf(replica), optional: false };
  return {
    name: MAIN,
    image: codespec.image,
    imagePullPolicy,
    // An empty list would leave the entrypoint of the image, and its arguments.
    ...(command?.length ? { command: command.map(verbatim) } : {}),
    ...(args ? { args: args.map(verbatim) } : {}),
    ...(codespec.workingDir === undefined ? {} : { workingDir: codespec.workingDir }),
    env: [
      { name: RUN_ID_VARIABLE, valueFrom: { secretKeyRef: fence } },
      ...given.map(([name, value]) => ({ name, value: verbatim(value) })),
    ],
    resources: resourcesOf(codespec.resources),
    ...(volumeMounts.length > 0 ? { volumeMounts } : {}),
    securityContext: { capabilities: { drop: DROPPED_CAPABILITIES } },
  };
}

/** The volumes that the container of the job mounts. */
export function mainVolumesOf({ shm }: CodespecResources = {}): NonNullable<PodSpec["volumes"]> {
  return shm === undefined ? [] : [{ name: SHM, emptyDir: { medium: "Memory", sizeLimit: shm } }];
}

/** Our own expansion is done: the kubelet's, which turns every `$$` into `$`, must give the text back unchanged. */
const verbatim = (text: string): string => text.replaceAll("$", "$$$$");

function resourcesOf(resources: CodespecResources | undefined): NonNullable<Container["resources"]> {
  const gpu = wantsGpu(resources) && resources?.gpu !== undefined ? { "nvidia.com/gpu": resources.gpu } : {};
  return { requests: { ...resources?.requests, ...gpu }, limits: { ...resources?.limits, ...gpu } };
}
