import { isSameRun } from "../../model/run/identity.ts";
import { LABEL_INSTALLATION, LABEL_RUN } from "../../model/run/names.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { localPump } from "../pump/pump-link.ts";
import { attemptFoldersOf, removeFolder, runFolderOf } from "./attempt-folder.ts";
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
  await Promise.all(folders.map((folder) => localPump(folder).command({ command: "stop" }, ABANDON_MS)));
  await removeFolder(runFolderOf(runsDir, run));
}
