import { clustersOf, type KubernetesCluster } from "../config/clusters.ts";
import { readConfigFile } from "../config/file.ts";
import type { StackConfig } from "../config/stack.ts";
import { cancelOpenRuns } from "./cancel-runs.ts";
import { leaveDockerd } from "./docker/dockerd.ts";
import { lock } from "./host/lock.ts";
import { askStack, endRecorded } from "./supervisor/process-record.ts";
import type { Report } from "./host/progress.ts";
import { keptKubernetes, purgeNamespaces } from "./kubernetes.ts";
import { lockNameOf } from "./up.ts";

const LOCK_MS = 300_000;
const STOP_MS = 60_000;

/**
 * Stops the processes of the stack and keeps its data. Running jobs continue, unless `cancelRuns`, or `purge`, which also removes
 * the namespaces that the stack created.
 * @returns whether anything was running.
 */
export async function down(
  config: StackConfig,
  { cancelRuns, purge }: { cancelRuns: boolean; purge: boolean },
  report: Report,
): Promise<boolean> {
  const { paths } = config;
  const clusters = purge ? clustersToPurge(config) : [];
  await using _held = await lock(lockNameOf(config), LOCK_MS, "on this stack", report);
  const running = await askStack(paths, "status");
  if (cancelRuns && !running) throw new Error("Runs can only be canceled while the stack is up; nothing was changed");
  if (cancelRuns && running) await cancelOpenRuns(running.apiSocket, report);
  if (running) await askStack(paths, "stop", STOP_MS);
  // Left by a supervisor that was killed or did not finish.
  const left = await endRecorded(paths.stateDir);
  const dockerd = await leaveDockerd(paths, report);
  if (dockerd === "stopped") report("stopped the Docker engine that 'tyger up' started");
  else if (dockerd) report(`left the Docker engine running: ${dockerd}`);
  // When no worker is left that could create anything again.
  await purgeNamespaces(clusters, { config, report });
  return running !== undefined || left.length > 0;
}

/** @throws Error when the stack has no Kubernetes cluster */
function clustersToPurge(config: StackConfig): KubernetesCluster[] {
  const given = keptKubernetes(config.paths.stateDir);
  const all = clustersOf(readConfigFile(config.inherited), config.dockerHost, given);
  const kubernetes = all.filter((cluster) => cluster.kind === "kubernetes");
  if (kubernetes.length > 0) return kubernetes;
  throw new Error("The jobs of this stack run on Docker, so there is no namespace to remove; nothing was changed");
}
