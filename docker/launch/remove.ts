import { LABEL_INSTALLATION, LABEL_RUN } from "../../model/run/names.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { endPump } from "../pump/pump-link.ts";
import { attemptFoldersOf, removeFolder, runFolderOf, runsWithFolders } from "./attempt-folder.ts";
import { ABANDON_MS } from "./fence.ts";
import { hasPump, REPLICA, type ReplicaPorts } from "./replica.ts";

/** Removes what is left of a run: containers, pumps and folders. A launch that comes later is refused. */
export async function remove({ engine, claims, installationId, runsDir }: ReplicaPorts, run: RunRecord): Promise<void> {
  await claims.markRemoved(run.id, REPLICA);
  const ours = await engine.list({ [LABEL_INSTALLATION]: installationId, [LABEL_RUN]: String(run.id) });
  await Promise.all(ours.map(({ Id }) => engine.remove(Id, { force: true })));
  const folders = hasPump(run) ? await attemptFoldersOf(runsDir, run.id) : [];
  await Promise.all(folders.map((folder) => endPump(folder, { command: "stop" }, ABANDON_MS)));
  await removeFolder(runFolderOf(runsDir, run.id));
}

/** Ids of the runs of which a container or a folder is left. */
export async function leftovers({ engine, installationId, runsDir }: ReplicaPorts): Promise<number[]> {
  const containers = await engine.list({ [LABEL_INSTALLATION]: installationId });
  const labeled = containers.map(({ Labels }) => Number(Labels[LABEL_RUN]));
  return [...new Set([...labeled, ...(await runsWithFolders(runsDir))])].sort((a, b) => a - b);
}
