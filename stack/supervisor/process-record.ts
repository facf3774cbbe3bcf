import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { StackPaths } from "../../config/paths.ts";
import { writeWhole } from "../../disk/write-whole.ts";
import { errnoOf } from "../../model/errors.ts";
import { askSupervisor, controlSocketOf, type StackView } from "./control.ts";
import { endProcess, isAlive, processIdentitySchema, type ProcessIdentity } from "../host/processes.ts";

const recordSchema = z.object({
  /** The socket of the supervisor. */
  controlSocket: z.string(),
  supervisor: processIdentitySchema,
  processes: z.record(z.string(), processIdentitySchema.extend({ stopSignal: z.string() })),
});

/** The processes of a stack, stored on disk so that they can be found after the supervisor was killed. */
export type ProcessRecord = z.infer<typeof recordSchema>;

const fileOf = (stateDir: string): string => join(stateDir, "processes.json");

export function writeProcessRecord(stateDir: string, record: ProcessRecord): void {
  writeWhole(fileOf(stateDir), JSON.stringify(record));
}

export function readProcessRecord(stateDir: string): ProcessRecord | undefined {
  try {
    return recordSchema.parse(JSON.parse(readFileSync(fileOf(stateDir), "utf8")));
  } catch (err) {
    // A torn file means that the machine lost power, so no recorded process is alive.
    if (errnoOf(err) === "ENOENT" || errnoOf(err) === undefined) return undefined;
    throw err;
  }
}

/**
 * Ends processes whose supervisor is gone: first API and worker, then the servers that they need.
 * @returns the names of those that were still alive.
 */
export async function endRecorded(stateDir: string): Promise<string[]> {
  const record = readProcessRecord(stateDir);
  if (!record) return [];
  if (isAlive(record.supervisor)) await endProcess(record.supervisor, "SIGTERM", 45_000);
  const left = Object.entries(record.processes).filter(([, one]) => isAlive(one));
  const end = ([, one]: [string, ProcessIdentity & { stopSignal: string }]) =>
    endProcess(one, one.stopSignal === "SIGINT" ? "SIGINT" : "SIGTERM", 12_000);
  const isServer = ([name]: [string, unknown]) => name === "api" || name === "worker";
  await Promise.all(left.filter(isServer).map(end));
  await Promise.all(left.filter((entry) => !isServer(entry)).map(end));
  rmSync(fileOf(stateDir), { force: true });
  return left.map(([name]) => name);
}

/**
 * Asks the supervisor at its recorded socket, so that a shell without XDG_RUNTIME_DIR finds a stack started with it.
 * @returns undefined if no supervisor answers.
 */
export function askStack(paths: StackPaths, op: "status" | "stop", timeoutMs = 5000): Promise<StackView | undefined> {
  const socket = readProcessRecord(paths.stateDir)?.controlSocket ?? controlSocketOf(paths.runtimeDir);
  return askSupervisor(socket, op, timeoutMs);
}
