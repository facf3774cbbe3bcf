import type { LaunchClaim, LaunchClaims } from "../../model/ports/compute.ts";
import type { PumpState, ReplicaState } from "../../model/run/lifecycle.ts";
import { containerNameOf } from "../../model/run/names.ts";
import { hasPump } from "../../model/run/pipes.ts";
import type { RunRecord } from "../../model/run/run.ts";
import type { ContainerInfo, Engine } from "../engine/engine.ts";
import { localPump } from "../pump/pump-link.ts";
import { attemptFolderOf } from "./attempt-folder.ts";
import { LABEL_ATTEMPT } from "./container-spec.ts";
import { containerStateOf, isContainerOf, wasStarted } from "./container-state.ts";
import { inspectSurely } from "./gone.ts";
import type { Seen } from "./launch-plan.ts";

/** Everything needed to find one replica of the runs of an installation. */
export interface ReplicaPorts {
  engine: Engine;
  claims: LaunchClaims;
  installationId: string;
  /** Has a folder for each run. */
  runsDir: string;
  /** Its index in the run. */
  replica: number;
}

const NEVER_STARTED = "The run was ended before its container was started";
const RUNNING_PUMP: PumpState = { phase: "Running" };

export const folderOf = ({ runsDir }: Pick<ReplicaPorts, "runsDir">, run: RunRecord, attempt: string): string =>
  attemptFolderOf(runsDir, run, attempt);

export const attemptOf = (info: ContainerInfo): string => info.Config.Labels[LABEL_ATTEMPT] ?? "";

export function seenOf(info: ContainerInfo | undefined): Seen {
  if (!info) return { phase: "none" };
  return { phase: wasStarted(info) ? "started" : "made", containerId: info.Id, attempt: attemptOf(info) };
}

export const notStarted = (): ReplicaState => ({ container: { phase: "Gone", message: NEVER_STARTED } });

/** The container of the replica, by the id in its claim or else by name; one that is not ours does not count. */
export async function findContainer(
  { engine, installationId, replica }: ReplicaPorts,
  run: RunRecord,
  claim: Pick<LaunchClaim, "containerId"> | undefined,
): Promise<ContainerInfo | undefined> {
  const info = await engine.inspect(claim?.containerId ?? containerNameOf(installationId, run.id, replica));
  return info && isContainerOf(info, installationId, run, replica) ? info : undefined;
}

/** As {@link findContainer}, for a container that was created: undefined only when it is gone. */
export async function findSurely(
  { engine, installationId, replica }: ReplicaPorts,
  run: RunRecord,
  containerId: string,
): Promise<ContainerInfo | undefined> {
  const info = await inspectSurely(engine, containerId);
  return info && isContainerOf(info, installationId, run, replica) ? info : undefined;
}

/** The replica, regardless of which attempt launched it, and if any did. */
export async function observe(ports: ReplicaPorts, run: RunRecord): Promise<ReplicaState> {
  const claim = await ports.claims.find(run, ports.replica);
  const id = claim?.containerId;
  const info = id === undefined ? await findContainer(ports, run, claim) : await findSurely(ports, run, id);
  if (info) return replicaOf(ports, run, info);
  const canCome = !claim || (claim.state === "claimed" && claim.containerId === undefined);
  if (canCome) return { container: { phase: "Unknown" }, ...(hasPump(run) && { pump: RUNNING_PUMP }) };
  if (claim.containerId === undefined) return notStarted();
  const container = containerStateOf(undefined);
  return { container, ...(hasPump(run) && { pump: await pumpOf(ports, run, claim.attempt) }) };
}

/** The replica whose container is `info`. */
export async function replicaOf(ports: ReplicaPorts, run: RunRecord, info: ContainerInfo): Promise<ReplicaState> {
  const container = containerStateOf(info);
  if (!hasPump(run)) return { container };
  return { container, pump: wasStarted(info) ? await pumpOf(ports, run, attemptOf(info)) : RUNNING_PUMP };
}

const pumpOf = (ports: ReplicaPorts, run: RunRecord, attempt: string): Promise<PumpState> =>
  localPump(folderOf(ports, run, attempt)).state();
