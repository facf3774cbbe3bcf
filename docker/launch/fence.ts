import type { LaunchClaim } from "../../model/ports/compute.ts";
import { hasPump } from "../../model/run/pipes.ts";
import type { RunRecord } from "../../model/run/run.ts";
import type { ContainerInfo } from "../engine/engine.ts";
import { localPump } from "../pump/pump-link.ts";
import { fenceFolder, findFolder, removeFolder, unfenceFolder } from "./attempt-folder.ts";
import { attemptsToFence, type Verdict } from "./launch-plan.ts";
import { findContainer, folderOf, seenOf, type ReplicaPorts } from "./replica.ts";

/** How long a pump may take to abandon what it does, or to hear that it should stop. */
export const ABANDON_MS = 1000;

/** Fences a late start of the claim's attempt unless it was started already, and gives its container as it then is. */
export async function fence(
  ports: ReplicaPorts,
  run: RunRecord,
  claim: Pick<LaunchClaim, "attempt" | "containerId">,
): Promise<ContainerInfo | undefined> {
  let info = await findContainer(ports, run, claim);
  const attempts = attemptsToFence(claim, seenOf(info));
  if (attempts.length > 0) {
    await Promise.all(attempts.map((attempt) => fenceFolder(folderOf(ports, run, attempt))));
    // The engine answers this only after a start that is under way: from here on it is the truth.
    info = await findContainer(ports, run, claim);
  }
  const seen = seenOf(info);
  if (seen.phase === "started") await unfenceFolder(folderOf(ports, run, seen.attempt));
  return info;
}

/** Records the container that an earlier attempt started as the launch of `attempt`, which holds the claim. */
export async function adopt(
  { claims, replica }: ReplicaPorts,
  run: RunRecord,
  attempt: string,
  containerId: string,
): Promise<void> {
  await claims.recordContainer(run, replica, attempt, containerId);
  await claims.recordLaunched(run, replica, attempt);
}

/** Undoes attempts that never started anything. */
export async function discard(
  ports: ReplicaPorts,
  run: RunRecord,
  { containerId, attempts }: Omit<Extract<Verdict, { kind: "discard" }>, "kind">,
): Promise<void> {
  if (containerId !== undefined) {
    await ports.engine.remove(containerId, { force: false });
    await ports.claims.forgetContainer(run, ports.replica, containerId);
  }
  for (const attempt of attempts) {
    const folder = await findFolder(folderOf(ports, run, attempt));
    if (folder === undefined) continue;
    if (hasPump(run)) await localPump(folder).command({ command: "abandon" }, ABANDON_MS);
    await removeFolder(folder);
  }
}
