import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** A process beyond doubt: the kernel gives a pid again, but not with the same start time. */
export interface ProcessIdentity {
  pid: number;
  /** In clock ticks since boot. */
  startTime: string;
}

/** The identity of a living process, or undefined when there is none or only its remains. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything; the fields start after the last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state] = fields;
    const startTime = fields[19];
    if (!startTime || state === "Z" || state === "X") return undefined;
    return { pid, startTime };
  } catch {
    return undefined;
  }
}

export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.startTime === process.startTime;
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
    .filter((name) => {
      try {
        return readlinkSync(`/proc/${name}/cwd`) === folder;
      } catch {
        return false;
      }
    })
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
  const endMs = Date.now() + ms;
  while (isAlive(target)) {
    if (Date.now() > endMs) return false;
    await sleep(20);
  }
  return true;
}
