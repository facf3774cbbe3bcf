import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { StackConfig } from "../config/stack.ts";
import { askSupervisor, controlSocketOf, type StackView } from "./control.ts";

/** What runs of the stack; undefined when it is down. */
export const status = ({ paths }: StackConfig): Promise<StackView | undefined> =>
  askSupervisor(controlSocketOf(paths.runtimeDir), "status", 5000);

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
    `API           http+unix://${paths.apiSocket}:`,
    `Docker        ${view.dockerHost}`,
    `data folder   ${paths.dataDir}`,
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
