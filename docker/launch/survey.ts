import type { RunTrace } from "../../model/ports/compute.ts";
import { textOf, type RunIdentity } from "../../model/run/identity.ts";
import { LABEL_INSTALLATION } from "../../model/run/names.ts";
import { DEFAULT_SOCKET } from "../engine/engine-address.ts";
import { runsWithFolders } from "./attempt-folder.ts";
import { runInLabels } from "./container-state.ts";
import type { ReplicaPorts } from "./replica.ts";

/** States of the engine in which a container executes, or will without another command. */
const EXECUTING: ReadonlySet<string> = new Set(["running", "paused", "restarting"]);
/** The state of a container that was never started. */
const CREATED = "created";

interface Found {
  run: RunIdentity;
  /** The names of the containers that execute. */
  executing: string[];
  ended: number;
}

/** The runs of which a container or a folder is there, known or not, by number. */
export async function survey(
  { engine, installationId, runsDir }: Pick<ReplicaPorts, "engine" | "installationId" | "runsDir">,
  dockerHost: string | undefined,
): Promise<RunTrace[]> {
  const traces = new Map<string, Found>();
  const foundOf = (run: RunIdentity): Found => {
    const found = traces.get(textOf(run)) ?? { run, executing: [], ended: 0 };
    traces.set(textOf(run), found);
    return found;
  };
  for (const run of await runsWithFolders(runsDir)) foundOf(run);
  for (const { Id, Names, State, Labels } of await engine.list({ [LABEL_INSTALLATION]: installationId })) {
    const run = runInLabels(Labels);
    if (run === undefined) continue;
    const found = foundOf(run);
    if (EXECUTING.has(State)) found.executing.push(Names[0]?.replace(/^\//, "") ?? Id);
    else if (State !== CREATED) found.ended += 1;
  }
  return [...traces.values()].map((found) => traceOf(found, dockerHost)).toSorted((a, b) => a.id - b.id);
}

function traceOf({ run, executing, ended }: Found, dockerHost: string | undefined): RunTrace {
  const started = executing.length + ended;
  if (started === 0) return { ...run, containers: "None", started };
  if (executing.length === 0) return { ...run, containers: "Ended", started };
  const endCommand = `${dockerOf(dockerHost)} stop ${executing.toSorted().join(" ")}`;
  return { ...run, containers: ended === 0 ? "Executing" : "Partly", started, endCommand };
}

const dockerOf = (dockerHost: string | undefined): string =>
  dockerHost === undefined || dockerHost === `unix://${DEFAULT_SOCKET}` ? "docker" : `docker --host ${dockerHost}`;
