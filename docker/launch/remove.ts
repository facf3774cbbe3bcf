import type { ExecutingJob } from "../../model/ports/compute.ts";
import { isSameRun, textOf, type RunIdentity } from "../../model/run/identity.ts";
import { LABEL_INSTALLATION, LABEL_RUN } from "../../model/run/names.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { DEFAULT_SOCKET } from "../engine/engine-address.ts";
import { endPump } from "../pump/pump-link.ts";
import { attemptFoldersOf, removeFolder, runFolderOf, runsWithFolders } from "./attempt-folder.ts";
import { runInLabels } from "./container-state.ts";
import { ABANDON_MS } from "./fence.ts";
import { hasPump, REPLICA, type ReplicaPorts } from "./replica.ts";

/** Removes what is left of a run: containers, pumps and folders. A launch that comes later is refused. */
export async function remove({ engine, claims, installationId, runsDir }: ReplicaPorts, run: RunRecord): Promise<void> {
  await claims.markRemoved(run, REPLICA);
  const numbered = await engine.list({ [LABEL_INSTALLATION]: installationId, [LABEL_RUN]: String(run.id) });
  const ours = numbered.filter(({ Labels }) => isSameRun(runInLabels(Labels) ?? { id: 0 }, run));
  await Promise.all(ours.map(({ Id }) => engine.remove(Id, { force: true })));
  const folders = hasPump(run) ? await attemptFoldersOf(runsDir, run) : [];
  await Promise.all(folders.map((folder) => endPump(folder, { command: "stop" }, ABANDON_MS)));
  await removeFolder(runFolderOf(runsDir, run));
}

/** The runs whose container runs, known or not. */
export async function executing(
  { engine, installationId }: Pick<ReplicaPorts, "engine" | "installationId">,
  dockerHost: string | undefined,
): Promise<ExecutingJob[]> {
  const docker =
    dockerHost === undefined || dockerHost === `unix://${DEFAULT_SOCKET}` ? "docker" : `docker --host ${dockerHost}`;
  const containers = await engine.list({ [LABEL_INSTALLATION]: installationId });
  return containers.flatMap(({ Id, Names, State, Labels }) => {
    const run = State === "running" ? runInLabels(Labels) : undefined;
    const name = Names[0]?.replace(/^\//, "") ?? Id;
    return run ? { ...run, endCommand: `${docker} stop ${name}` } : [];
  });
}

/** The runs of which a container or a folder is left, known or not. */
export async function leftovers({ engine, installationId, runsDir }: ReplicaPorts): Promise<RunIdentity[]> {
  const containers = await engine.list({ [LABEL_INSTALLATION]: installationId });
  const labeled = containers.flatMap(({ Labels }) => runInLabels(Labels) ?? []);
  const left = new Map([...labeled, ...(await runsWithFolders(runsDir))].map((run) => [textOf(run), run]));
  return [...left.values()].sort((a, b) => a.id - b.id);
}
