import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { errnoOf } from "../../model/errors.ts";
import { poll } from "../../waiting/bounded.ts";

/** A process beyond doubt: the kernel gives a pid again, but in one boot not with the same start time. */
export const processIdentitySchema = z.object({
  pid: z.number(),
  /** In clock ticks since boot. */
  startTime: z.string(),
  bootId: z.string(),
});
export type ProcessIdentity = z.infer<typeof processIdentitySchema>;

const BOOT_ID = readBootId();

/** The identity of a living process, or undefined when there is none or only its remains. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything; the fields start after the last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state] = fields;
    const startTime = fields[19];
    if (!startTime || state === "Z" || state === "X") return undefined;
    return { pid, startTime, bootId: BOOT_ID };
  } catch {
    return undefined;
  }
}

export function isAlive({ pid, startTime, bootId }: ProcessIdentity): boolean {
  return bootId === BOOT_ID && identify(pid)?.startTime === startTime;
}

/** The name of the program that a process runs, of which the kernel keeps 15 bytes. */
export function programOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** Sends `signal`, and SIGKILL after `graceMs`; returns once the process is gone, or after 5 more seconds. */
export async function endProcess(target: ProcessIdentity, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  send(target, signal);
  if (await isGoneWithin(target, graceMs)) return;
  send(target, "SIGKILL");
  await isGoneWithin(target, 5000);
}

/** The processes of this machine that work in `folder`, as all those of a Postgres server do in its data folder. */
export function processesIn(folder: string): ProcessIdentity[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .filter((name) => readLink(`/proc/${name}/cwd`) === folder)
    .flatMap((name) => identify(Number(name)) ?? []);
}

function send(target: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(target)) return;
  try {
    process.kill(target.pid, signal);
  } catch {
    // It ended between the look and the signal.
  }
}

async function isGoneWithin(target: ProcessIdentity, ms: number): Promise<boolean> {
  const look = (): true | undefined => (isAlive(target) ? undefined : true);
  return (await poll(look, { everyMs: 20, withinMs: ms })) ?? false;
}

/** The user as whom a process acts. */
export function userOf(pid: number): number | undefined {
  try {
    const [, uid] = /^Uid:\s+\d+\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return uid === undefined ? undefined : Number(uid);
  } catch {
    return undefined;
  }
}

/**
 * Whether a process has the socket of that inode open; undefined where the kernel does not tell: of processes of others
 * it tells root alone, and of those with more rights than ours, as root's own may have, nobody.
 */
export function holdsSocket(pid: number, inode: string): boolean | undefined {
  const folder = `/proc/${pid}/fd`;
  try {
    const links = readdirSync(folder).map((name) => readLink(join(folder, name)));
    return links.includes(`socket:[${inode}]`) || (links.includes(HIDDEN) ? undefined : false);
  } catch (err) {
    return errnoOf(err) === "EACCES" ? undefined : false;
  }
}

/** Empty where there is no Linux: what says so to the user must be able to load. */
function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

/** What a link of /proc says that the kernel does not let us read. */
const HIDDEN = Symbol("hidden");

function readLink(path: string): string | typeof HIDDEN | undefined {
  try {
    return readlinkSync(path);
  } catch (err) {
    return errnoOf(err) === "EACCES" ? HIDDEN : undefined;
  }
}
