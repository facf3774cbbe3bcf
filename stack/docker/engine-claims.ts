import { createHash } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { EngineAddress } from "../../docker/engine/engine-address.ts";
import { tryLock } from "../../waiting/kernel-lock.ts";
import { holdsSocket, userOf } from "../host/processes.ts";

/** Unique on this machine: two users can have data folders with the same name. */
export const stackNameOf = ({ runtimeDir }: { runtimeDir: string }): string =>
  `${basename(runtimeDir)}-${process.getuid?.() ?? 0}`;

/**
 * Records that this process uses the engine for `stack`, until it releases the claim or ends, however it ends. Like a lock,
 * the claim is an abstract socket, whose name all users of the machine can see.
 */
export async function claimEngine(engine: EngineAddress, stack: string): Promise<AsyncDisposable> {
  const claim = `${prefixOf(engine)}${stack}-${process.pid}`;
  const held = await tryLock(claim);
  if (!held)
    throw new Error(`Another process already holds the claim '${claim}' on the Docker engine at '${engine.host}'`);
  return held;
}

/** A stack that uses an engine, and the user it belongs to. */
export interface EngineUser {
  stack: string;
  uid: number;
}

/**
 * The stacks of all users that currently use the engine. Any user can take any name, so a claim counts only while its
 * process belongs to the user it names and holds the socket. If the kernel does not show that, the claim counts: stopping
 * an engine in use is worse.
 */
export function usersOf(engine: EngineAddress): EngineUser[] {
  const prefix = `@tyger-${prefixOf(engine)}`;
  const sockets = readFileSync("/proc/net/unix", "utf8").split("\n").slice(1);
  const users = sockets.flatMap((line) => {
    const [inode, name = ""] = line.trim().split(/\s+/).slice(6);
    if (inode === undefined || !name.startsWith(prefix)) return [];
    // Older versions of Node pad the name with NULs, which the kernel shows as @.
    const [, stack, uid, pid] = /^(.+-(\d+))-(\d+)@*$/.exec(name.slice(prefix.length)) ?? [];
    if (stack === undefined || belongsTo(Number(pid), Number(uid)) === false) return [];
    if (holdsSocket(Number(pid), inode) === false) return [];
    return [[stack, { stack, uid: Number(uid) }] as const];
  });
  return [...new Map(users).values()];
}

/** Undefined when it is not known. */
function belongsTo(pid: number, uid: number): boolean | undefined {
  try {
    return userOf(pid) === uid;
  } catch {
    return undefined;
  }
}

/** The same for every path to one socket, even before the socket exists. */
function prefixOf({ host }: EngineAddress): string {
  const socket = host.startsWith("unix://") ? host.slice("unix://".length) : undefined;
  const address = socket === undefined ? host : join(realFolder(dirname(socket)), basename(socket));
  return `uses-${createHash("sha256").update(address).digest("hex").slice(0, 10)}-`;
}

function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder;
  }
}
