import { createHash } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { EngineAddress } from "../../docker/engine/engine-address.ts";
import { tryLock } from "../host/lock.ts";
import { holdsSocket, userOf } from "../host/processes.ts";

/** The name of a stack among all of this machine: two users may have data folders of the same name. */
export const stackNameOf = ({ runtimeDir }: { runtimeDir: string }): string =>
  `${basename(runtimeDir)}-${process.getuid?.() ?? 0}`;

/**
 * Notes that this process uses the engine for `stack`, until it gives the claim back or ends, however it ends: as with
 * a lock the claim is an abstract socket, whose name all users of the machine see.
 */
export async function claimEngine(engine: EngineAddress, stack: string): Promise<AsyncDisposable> {
  const claim = `${prefixOf(engine)}${stack}-${process.pid}`;
  const held = await tryLock(claim);
  if (!held) throw new Error(`The claim '${claim}' on the Docker engine at '${engine.host}' is taken`);
  return held;
}

/** A stack that uses an engine, and whose it is. */
export interface EngineUser {
  stack: string;
  uid: number;
}

/**
 * The stacks, of all users, that use the engine at this moment. Everybody can take a name: one counts only while the
 * process it names is of the user it names, and holds it as far as we are told; to end an engine that is used is worse.
 */
export function usersOf(engine: EngineAddress): EngineUser[] {
  const prefix = `@tyger-${prefixOf(engine)}`;
  const sockets = readFileSync("/proc/net/unix", "utf8").split("\n").slice(1);
  const users = sockets.flatMap((line) => {
    const [inode, name = ""] = line.trim().split(/\s+/).slice(6);
    if (inode === undefined || !name.startsWith(prefix)) return [];
    // Older versions of Node fill the name up with NULs, which the kernel shows as more @.
    const [, stack, uid, pid] = /^(.+-(\d+))-(\d+)@*$/.exec(name.slice(prefix.length)) ?? [];
    if (stack === undefined || userOf(Number(pid)) !== Number(uid)) return [];
    if (holdsSocket(Number(pid), inode) === false) return [];
    return [[stack, { stack, uid: Number(uid) }] as const];
  });
  return [...new Map(users).values()];
}

/** The same for all paths to one socket, also before there is one. */
function prefixOf({ host }: EngineAddress): string {
  const socket = host.startsWith("unix://") ? host.slice("unix://".length) : undefined;
  const place = socket === undefined ? host : join(realFolder(dirname(socket)), basename(socket));
  return `uses-${createHash("sha256").update(place).digest("hex").slice(0, 10)}-`;
}

function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder;
  }
}
