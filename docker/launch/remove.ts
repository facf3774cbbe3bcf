import { isSameRun } from "../../model/run/identity.ts";
import { LABEL_INSTALLATION, LABEL_RUN } from "../../model/run/names.ts";
import { indexesOf } from "../../model/run/replicas.ts";
import { hasPump } from "../../model/run/pipes.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { eachOf } from "../../waiting/bounded.ts";
import { localPump } from "../pump/pump-link.ts";
import { attemptFoldersOf, removeFolder, runFolderOf } from "./attempt-folder.ts";
import { runInLabels } from "./container-state.ts";
import { ABANDON_MS } from "./fence.ts";
import { type ReplicaPorts } from "./replica.ts";

/** Calls at a time for one run: others must not wait behind the thousand replicas of one. */
const AT_ONCE = 16;

/** Removes what is left of a run: the containers, pumps and folders of all replicas. A launch that comes later is refused. */
export async function remove(
  { engine, claims, installationId, runsDir }: Omit<ReplicaPorts, "replica">,
  run: RunRecord,
): Promise<void> {
  await eachOf(indexesOf(run.replicaCount), AT_ONCE, (replica) => claims.markRemoved(run, replica));
  const numbered = await engine.list({ [LABEL_INSTALLATION]: installationId, [LABEL_RUN]: String(run.id) });
  const ours = numbered.filter(({ Labels }) => isSameRun(runInLabels(Labels) ?? { id: 0 }, run));
  await eachOf(ours, AT_ONCE, ({ Id }) => engine.remove(Id, { force: true }));
  const folders = hasPump(run) ? await attemptFoldersOf(runsDir, run) : [];
  await eachOf(folders, AT_ONCE, (folder) => localPump(folder).command({ command: "stop" }, ABANDON_MS));
  await removeFolder(runFolderOf(runsDir, run));
}
