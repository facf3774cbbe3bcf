import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pidOf, type TestStack } from "../e2e/stack.ts";
import { shell } from "./commands.ts";
import type { Limits } from "./measure.ts";

const LOOK_MS = 10;

/** By how much the memory of each process grows while a large buffer passes: the command's from that of a bare Node. */
export function memoryLimits(stack: TestStack, dir: string, bytes: number): Limits {
  const data = join(dir, "data");
  return {
    name: "memory",
    repeats: 1,
    bounds: ["buffer write", "API, writing", "buffer read", "API, reading"].map((what) => ({
      what,
      unit: "MiB",
      atMost: 150,
    })),
    async measure() {
      await shell(`head -c ${bytes} /dev/urandom > ${data}`, stack.env);
      const bare = await peakOf(`exec ${process.execPath} -e 'setTimeout(() => {}, 300)'`, stack);
      const api = await pidOf(stack, "api");
      const growths = async (command: string): Promise<number[]> => {
        const before = memoryOf(api, "VmRSS");
        // Forgets the peak. @see proc_pid_clear_refs(5)
        writeFileSync(`/proc/${api}/clear_refs`, "5");
        const peak = await peakOf(`exec ${command}`, stack);
        return [peak - bare, memoryOf(api, "VmHWM") - before];
      };
      const id = (await shell("tyger buffer create", stack.env)).trim();
      const writing = await growths(`tyger buffer write ${id} -i ${data}`);
      return [...writing, ...(await growths(`tyger buffer read ${id} -o /dev/null`))];
    },
  };
}

/** The most memory that the process of a shell line had, in MiB, as far as looks at it tell. */
async function peakOf(line: string, { env }: TestStack): Promise<number> {
  const child = spawn("bash", ["-c", line], { env, stdio: "ignore" });
  const ended = once(child, "exit") as Promise<[number | null]>;
  let peak = 0;
  for (; child.exitCode === null && child.signalCode === null; await sleep(LOOK_MS)) {
    peak = Math.max(peak, memoryOf(child.pid ?? 0, "VmHWM"));
  }
  const [code] = await ended;
  if (code !== 0) throw new Error(`'${line}' failed (${code})`);
  return peak;
}

/** In MiB, zero when it has ended; `VmHWM` is the peak. @see proc_pid_status(5) */
export function memoryOf(pid: number, field: "VmRSS" | "VmHWM"): number {
  const [, kib] = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib ?? 0) / 1024;
}
