import type { RunTrace } from "../../model/ports/compute.ts";
import { textOf } from "../../model/run/identity.ts";
import { LABEL_INSTALLATION } from "../../model/run/names.ts";
import { DEFAULT_SOCKET } from "../engine/engine-address.ts";
import { runsWithFolders } from "./attempt-folder.ts";
import { runInLabels } from "./container-state.ts";
import type { ReplicaPorts } from "./replica.ts";

/** States of the engine in which a container executes, or will without another command. */
const EXECUTING: ReadonlySet<string> = new Set(["running", "paused", "restarting"]);
/** The state of a container that was never started. */
const CREATED = "created";

/** The runs of which a container or a folder is there, known or not, by number. */
export async function survey(
  { engine, installationId, runsDir }: Pick<ReplicaPorts, "engine" | "installationId" | "runsDir">,
  dockerHost: string | undefined,
): Promise<RunTrace[]> {
  const traces = new Map<string, RunTrace>();
  for (const run of await runsWithFolders(runsDir)) traces.set(textOf(run), { ...run, containers: "None" });
  for (const { Id, Names, State, Labels } of await engine.list({ [LABEL_INSTALLATION]: installationId })) {
    const run = runInLabels(Labels);
    if (run === undefined) continue;
    const before = traces.get(textOf(run));
    if (EXECUTING.has(State)) {
      const name = Names[0]?.replace(/^\//, "") ?? Id;
      traces.set(textOf(run), { ...run, containers: "Executing", endCommand: `${dockerOf(dockerHost)} stop ${name}` });
    } else if (before?.containers !== "Executing") {
      const hasEnded = State !== CREATED || before?.containers === "Ended";
      traces.set(textOf(run), { ...run, containers: hasEnded ? "Ended" : "None" });
    }
  }
  return [...traces.values()].sort((a, b) => a.id - b.id);
}

const dockerOf = (dockerHost: string | undefined): string =>
  dockerHost === undefined || dockerHost === `unix://${DEFAULT_SOCKET}` ? "docker" : `docker --host ${dockerHost}`;
