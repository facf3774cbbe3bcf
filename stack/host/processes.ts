import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { errnoOf } from "../../model/errors.ts";
import { poll } from "../../waiting/bounded.ts";

/** Identifies a process reliably: the kernel reuses pids, but not with the same start time within one boot. */
export const processIdentitySchema = z.object({
  pid: z.number(),
  /** In clock ticks since boot. */
  startTime: z.string(),
  bootId: z.string(),
});
export type ProcessIdentity = z.infer<typeof processIdentitySchema>;

const BOOT_ID = readBootId();

/** Returns undefined for a process that is gone or a zombie. @throws Error when that cannot be found out */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = readOf(pid, "stat");
  if (stat === undefined) return undefined;
  // The name in parentheses can contain anything; the fields start after the last parenthesis.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  const startTime = fields[19];
  if (!startTime || state === "Z" || state === "X") return undefined;
  return { pid, startTime, bootId: BOOT_ID };
}

/** @throws Error when that cannot be found out */
export function isAlive({ pid, startTime, bootId }: ProcessIdentity): boolean {
  return bootId === BOOT_ID && identify(pid)?.startTime === startTime;
}

/** Undefined if the process is gone; the kernel keeps only 15 bytes of the name. @throws Error when it is not known */
export const programOf = (pid: number): string | undefined => readOf(pid, "comm")?.trim();

/** Sends `signal`, then SIGKILL after `graceMs`. Returns once the process is gone, or after 5 more seconds. */
export async function endProcess(target: ProcessIdentity, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  send(target, signal);
  if (await isGoneWithin(target, graceMs)) return;
  send(target, "SIGKILL");
  await isGoneWithin(target, 5000);
}

/** Finds processes by their working directory, as all processes of a Postgres server share its data folder. */
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
    // It ended between the check and the signal.
  }
}

async function isGoneWithin(target: ProcessIdentity, ms: number): Promise<boolean> {
  const look = (): true | undefined => (isAlive(target) ? undefined : true);
  return (await poll(look, { everyMs: 20, withinMs: ms })) ?? false;
}

/** The effective user, who decides what the process can do; undefined if it is gone. @throws Error when it is not known */
export function userOf(pid: number): number | undefined {
  const [, uid] = /^Uid:\s+\d+\s+(\d+)/m.exec(readOf(pid, "status") ?? "") ?? [];
  return uid === undefined ? undefined : Number(uid);
}

/**
 * Whether a process has the socket with that inode open. Undefined if that is not known: only root sees the sockets of other
 * users' processes, and even root not those of processes with more capabilities.
 */
export function holdsSocket(pid: number, inode: string): boolean | undefined {
  const folder = `/proc/${pid}/fd`;
  try {
    const links = readdirSync(folder).map((name) => readLink(join(folder, name)));
    return links.includes(`socket:[${inode}]`) || (links.includes(HIDDEN) ? undefined : false);
  } catch (err) {
    return isGone(err) ? false : undefined;
  }
}

/** Empty on other systems, so that this module loads and can report that only Linux is supported. */
function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

/** Stands for a link in /proc that cannot be read. */
const HIDDEN = Symbol("hidden");

function readLink(path: string): string | typeof HIDDEN | undefined {
  try {
    return readlinkSync(path);
  } catch (err) {
    return isGone(err) ? undefined : HIDDEN;
  }
}

/** A file of the process in /proc; undefined if the process is gone. */
function readOf(pid: number, name: "stat" | "comm" | "status"): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch (err) {
    if (!isGone(err)) throw err;
    return undefined;
  }
}

/** Anything else, such as too many open files, says nothing about a process. */
const isGone = (err: unknown): boolean => ["ENOENT", "ESRCH"].includes(errnoOf(err) ?? "");
