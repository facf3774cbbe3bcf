import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { StackConfig } from "../config/stack.ts";
import type { StackView } from "./supervisor/control.ts";
import { askStack } from "./supervisor/process-record.ts";

/** What runs of the stack; undefined when it is down. */
export const status = ({ paths }: StackConfig): Promise<StackView | undefined> => askStack(paths, "status");

/** The address of the stack's API, as the login file has it. */
export const serverUrlOf = ({ apiSocket }: StackView): string => `http+unix://${apiSocket}:`;

/** The state of a stack in lines for a person. */
export function describeStack(view: StackView | undefined, { paths }: StackConfig): string {
  if (!view) return `The stack is down.\ndata folder   ${paths.dataDir}\n`;
  const width = Math.max(...view.processes.map(({ name }) => name.length));
  const processes = view.processes.map(({ name, state, pid, restarts, lastExit, logFile }) => {
    const where = pid === undefined ? "" : ` (pid ${pid})`;
    const again = restarts > 0 ? `, restarted ${restarts} times, last ${lastExit ?? "unknown"}` : "";
    return `  ${name.padEnd(width)}  ${state}${where}${again}, log ${logFile}`;
  });
  return [
    view.isReady ? "The stack is up." : "The stack is not ready.",
    ...processes,
    ...(view.webUi ? [`Web UI        ${view.webUi}`] : []),
    ...(view.given?.postgres ? [`Postgres      ${view.given.postgres}, of DATABASE_URL`] : []),
    ...(view.given?.temporal ? [`Temporal      ${view.given.temporal}, of TEMPORAL_ADDRESS`] : []),
    `API           ${serverUrlOf(view)}`,
    `Docker        ${view.dockerHost}`,
    `data folder   ${paths.dataDir}`,
    ...(view.given?.postgres ? [] : databaseElsewhere(paths.dataDir)),
    `installation  ${installationOf(paths.stateDir)}`,
    `supervisor    pid ${view.pid}, version ${view.version}`,
    "",
  ].join("\n");
}

/** The id that is in the name of every workflow and container; the worker leaves it when it is ready. */
function installationOf(stateDir: string): string {
  try {
    return readFileSync(join(stateDir, "installation"), "utf8").trim();
  } catch {
    return "not known yet";
  }
}

/** Root's database may lie outside the data folder, where Postgres' own user can get to it. */
function databaseElsewhere(dataDir: string): string[] {
  try {
    return [`database      ${readlinkSync(join(dataDir, "postgres"))}`];
  } catch {
    return [];
  }
}
