import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PUMP_FILES, pipeFileOf } from "../../model/run/pump.ts";

/** The folder of a launch attempt with named pipes, as a launch creates it. */
export function attemptFolder(parameters: readonly string[]): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "pump-test-"));
  mkdirSync(join(path, PUMP_FILES.pipes));
  for (const parameter of parameters) execFileSync("mkfifo", [join(path, PUMP_FILES.pipes, pipeFileOf(parameter))]);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export interface Job {
  process: ChildProcess;
  /** Its output, once it has ended. */
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
  end(): void;
}

/** A bash script in the pipes folder, as a job container would run it: `in.pipe` and `out.pipe` are its pipes. */
export function startJob(folder: string, script: string): Job {
  const child = spawn("bash", ["-c", script], { cwd: join(folder, PUMP_FILES.pipes), detached: true });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text: Buffer) => (stdout += text.toString()));
  child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  return {
    process: child,
    ended,
    end: () => {
      try {
        // The whole group, as when a container ends.
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    },
  };
}
