import type { RunTrace } from "../../model/ports/compute.ts";
import { textOf, type RunIdentity } from "../../model/run/identity.ts";
import { hasEnded } from "../../model/run/lifecycle.ts";
import type { Kube } from "../client/kube.ts";
import type { PodSettings } from "../spec/cluster-settings.ts";
import { jobSelectorOf, runInMeta } from "../spec/names.ts";
import { containerOf } from "./replica.ts";

interface Found {
  run: RunIdentity;
  /** The names of the pods whose job executes. */
  executing: string[];
  ended: number;
}

/** The runs of which a pod or a Secret is there, known or not, by number. */
export async function survey({ kube, settings }: { kube: Kube; settings: PodSettings }): Promise<RunTrace[]> {
  const selector = jobSelectorOf(settings.installationId);
  const traces = new Map<string, Found>();
  const foundOf = (run: RunIdentity): Found => {
    const found = traces.get(textOf(run)) ?? { run, executing: [], ended: 0 };
    traces.set(textOf(run), found);
    return found;
  };
  for (const meta of await kube.listSecrets(selector)) {
    const run = runInMeta(meta);
    if (run) foundOf(run);
  }
  for (const pod of (await kube.listPods(selector)).pods) {
    const { metadata = {} } = pod;
    const run = runInMeta(metadata);
    if (!run) continue;
    const found = foundOf(run);
    const container = containerOf({ kube, settings }, pod);
    if (container.phase === "Running") found.executing.push(metadata.name ?? "");
    // Also one that will never start: it is over.
    else if (hasEnded(container)) found.ended += 1;
  }
  return [...traces.values()].map((found) => traceOf(found, settings.namespace)).toSorted((a, b) => a.id - b.id);
}

function traceOf({ run, executing, ended }: Found, namespace: string): RunTrace {
  const started = executing.length + ended;
  if (started === 0) return { ...run, containers: "None", started };
  if (executing.length === 0) return { ...run, containers: "Ended", started };
  const endCommand = `kubectl --namespace ${namespace} delete pod ${executing.toSorted().join(" ")}`;
  return { ...run, containers: ended === 0 ? "Executing" : "Partly", started, endCommand };
}
