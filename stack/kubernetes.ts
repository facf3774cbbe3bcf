import { readFileSync, rmSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import type { GivenKubernetes, KubernetesCluster } from "../config/clusters.ts";
import type { StackConfig } from "../config/stack.ts";
import { writeWhole } from "../disk/write-whole.ts";
import { errnoOf } from "../model/errors.ts";
import { engineScopeOf } from "../model/run/names.ts";
import { runCommand } from "./host/command.ts";
import { findInstallation } from "./host/installation.ts";
import type { Report } from "./host/progress.ts";
import { settlePodPort } from "./services.ts";

const settingSchema = z.strictObject({
  kubeconfig: z.string(),
  context: z.string().optional(),
  namespace: z.string().optional(),
  pumpImage: z.string().optional(),
});
/** With `host:port` of the data plane, as pods reach it. */
const fileSchema = z.object({ setting: settingSchema, podListen: z.string().optional() });

const fileOf = (stateDir: string): string => join(stateDir, "kubernetes.json");

/** The cluster that the last `tyger up --kubeconfig` named; undefined for a stack on Docker. @throws Error for a file that cannot be read */
export const keptKubernetes = (stateDir: string): GivenKubernetes | undefined => keptFile(stateDir)?.setting;

function keptFile(stateDir: string): z.infer<typeof fileSchema> | undefined {
  try {
    return fileSchema.parse(JSON.parse(readFileSync(fileOf(stateDir), "utf8")));
  } catch (err) {
    if (errnoOf(err) === "ENOENT") return undefined;
    throw new Error(
      `'${fileOf(stateDir)}' cannot be read; run 'tyger up' with --kubeconfig or --docker to replace it`,
      {
        cause: err,
      },
    );
  }
}

/** The cluster for jobs that a call of `up` names; without one, that of the call before. */
export type ComputeChoice = GivenKubernetes | "docker" | undefined;

/** The cluster of a call of `up`, and of later ones once it is kept. */
export interface SettledChoice {
  given: GivenKubernetes | undefined;
  /** The variables of the servers. */
  variables: Record<string, string>;
  isChanged: boolean;
  /** `host:port` of the data plane for pods, as it was kept before. */
  podListen: string | undefined;
  keep(podListen: string | undefined): void;
  /** The stack did not start with it. */
  revert(): void;
}

/** @throws Error when the cluster of the call before is needed and cannot be read */
export function settleChoice(stateDir: string, choice: ComputeChoice): SettledChoice {
  if (choice === undefined) {
    const kept = keptFile(stateDir);
    const given = kept?.setting;
    const keep = (podListen: string | undefined): void => write(stateDir, given && { setting: given, podListen });
    const { podListen } = kept ?? {};
    return { given, variables: variablesOf(given), isChanged: false, podListen, keep, revert: () => undefined };
  }
  const given = choice === "docker" ? undefined : choice;
  let before: z.infer<typeof fileSchema> | undefined;
  let isReadable = true;
  try {
    before = keptFile(stateDir);
  } catch {
    isReadable = false;
  }
  return {
    given,
    variables: variablesOf(given),
    isChanged: !isReadable || !isDeepStrictEqual(given, before?.setting),
    podListen: before?.podListen,
    keep: (podListen) => write(stateDir, given && { setting: given, podListen }),
    revert: () => write(stateDir, before),
  };
}

function variablesOf(given: GivenKubernetes | undefined): Record<string, string> {
  if (given === undefined) return {};
  const { kubeconfig, context = "", namespace = "", pumpImage = "" } = given;
  return {
    TYGER_KUBECONFIG: kubeconfig,
    TYGER_KUBE_CONTEXT: context,
    TYGER_KUBE_NAMESPACE: namespace,
    TYGER_PUMP_IMAGE: pumpImage,
  };
}

function write(stateDir: string, kept: { setting: GivenKubernetes; podListen?: string | undefined } | undefined): void {
  if (kept === undefined) rmSync(fileOf(stateDir), { force: true });
  else writeWhole(fileOf(stateDir), JSON.stringify(kept));
}

/** The installation of a stack whose worker has been ready once. */
export function knownInstallation(stateDir: string): string | undefined {
  try {
    return readFileSync(join(stateDir, "installation"), "utf8").trim() || undefined;
  } catch (err) {
    if (errnoOf(err) === "ENOENT") return undefined;
    throw err;
  }
}

/** Where the jobs of a cluster are. */
export const namespaceOf = (
  { namespace }: Pick<KubernetesCluster, "namespace">,
  installation: string | undefined,
): string | undefined => namespace ?? (installation === undefined ? undefined : `tyger-${installation}`);

/** Longer than the removal of a namespace takes. */
const STEP_MS = 180_000;
const answerSchema = z.object({ problem: z.string().optional(), address: z.string().optional() });
type StepAnswer = z.infer<typeof answerSchema>;

export type ClusterStep =
  | { op: "check" | "claim" | "purge" }
  | { op: "probe"; image: string; addresses: string[]; port: number };

/**
 * Does something in a cluster for the stack. The client library is a hundred times as large as the rest of this program, so it has
 * a program of its own. A problem is one sentence.
 */
export async function stepIn(
  { access, name, namespace }: Pick<KubernetesCluster, "access" | "name" | "namespace">,
  step: ClusterStep,
  { config, installation }: { config: StackConfig; installation: string | undefined },
): Promise<StepAnswer> {
  const request = {
    ...step,
    access,
    namespace: namespaceOf({ namespace }, installation),
    isOwn: namespace === undefined,
    ...(installation === undefined ? {} : { scope: engineScopeOf(installation, name) }),
  };
  const program = join(findInstallation().dist, "cluster.js");
  const { code, stdout, stderr } = await runCommand(process.execPath, [program, JSON.stringify(request)], {
    timeoutMs: STEP_MS,
    env: { PATH: config.path, ...config.inherited },
  });
  const answer = code === 0 ? answerSchema.safeParse(parsed(stdout)) : undefined;
  if (answer?.success) return answer.data;
  const words = stderr.trim().split("\n").slice(-3).join(" | ") || `'${program}' was ended after ${STEP_MS / 1000} s`;
  return { problem: `The cluster '${name}' could not be asked: ${words}` };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Checks the clusters of a stack. With several, one that cannot be used is reported, because the others can continue without it. */
export async function checkClusters(
  clusters: readonly KubernetesCluster[],
  { config, report }: { config: StackConfig; report: Report },
): Promise<void> {
  const installation = knownInstallation(config.paths.stateDir);
  const asked = clusters.map((cluster) => stepIn(cluster, { op: "check" }, { config, installation }));
  const problems = (await Promise.all(asked)).flatMap(({ problem }, at) => {
    if (problem === undefined) return [];
    if (clusters.length > 1) report(`the cluster '${clusters[at]?.name}' cannot be used yet: ${problem}`);
    return [problem];
  });
  if (problems.length === clusters.length && problems[0] !== undefined) throw new Error(problems[0]);
}

/** Takes the namespaces for this installation; those that have its name are created. @throws Error in one sentence */
export async function claimNamespaces(clusters: readonly KubernetesCluster[], config: StackConfig): Promise<void> {
  const installation = knownInstallation(config.paths.stateDir);
  const answers = await Promise.all(
    clusters.map((cluster) => stepIn(cluster, { op: "claim" }, { config, installation })),
  );
  const problem = answers.find((answer) => answer.problem !== undefined)?.problem;
  if (problem !== undefined && clusters.length === 1) throw new Error(problem);
}

/** Ends all jobs of the stack in its clusters, and removes the namespaces that it created. @throws Error in one sentence */
export async function purgeNamespaces(
  clusters: readonly KubernetesCluster[],
  { config, report }: { config: StackConfig; report: Report },
): Promise<void> {
  const installation = knownInstallation(config.paths.stateDir);
  if (installation === undefined) return;
  for (const cluster of clusters) {
    report(`removing the jobs in the namespace '${namespaceOf(cluster, installation)}'`);
    const { problem } = await stepIn(cluster, { op: "purge" }, { config, installation });
    if (problem !== undefined) throw new Error(problem);
  }
}

/** Any image with Node and `mkfifo`; the default of the servers. */
const PUMP_IMAGE = "node:24-slim";

export interface PodListenOptions {
  config: StackConfig;
  chosen: Pick<SettledChoice, "given" | "isChanged" | "podListen">;
  isRunning: boolean;
  report: Report;
}

/**
 * `host:port` at which pods reach the data plane. That of the last time, if it is still one of this machine; else a probe finds it, with a pod
 * like those that move data. @throws Error in one sentence: the image cannot be used, or pods do not reach this machine
 */
export async function settlePodListen(
  cluster: KubernetesCluster,
  { config, chosen, isRunning, report }: PodListenOptions,
): Promise<string> {
  const all = Object.values(networkInterfaces()).flatMap((some = []) => some);
  const own = all.flatMap(({ family, internal, address }) => (family === "IPv4" && !internal ? [address] : []));
  const [former = ""] = chosen.podListen?.split(":") ?? [];
  if (chosen.podListen !== undefined && !chosen.isChanged && own.includes(former)) return chosen.podListen;
  report("starting a pod, to see that data can be moved");
  const { stateDir } = config.paths;
  const { free, port } = await settlePodPort(stateDir, isRunning);
  const addresses = own.toSorted((a, b) => Number(b === former) - Number(a === former));
  const image = chosen.given?.pumpImage ?? PUMP_IMAGE;
  const context = { config, installation: knownInstallation(stateDir) };
  const { problem, address } = await stepIn(cluster, { op: "probe", image, addresses, port: free }, context);
  if (address === undefined) throw new Error(problem);
  return `${address}:${port}`;
}
