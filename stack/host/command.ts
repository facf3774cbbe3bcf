import { spawn } from "node:child_process";

/** Also for a program that could not be started. */
export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  timeoutMs: number;
  env?: Record<string, string>;
  cwd?: string;
  uid?: number;
  gid?: number;
}

/** Never throws: a program that cannot be started, or is killed after `timeoutMs`, has the code null. */
export function runCommand(program: string, args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const { timeoutMs, ...rest } = options;
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      ...rest,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    child.once("error", (err) => resolve({ code: null, stdout, stderr: err.message }));
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/**
 * Like runCommand, for a program that must succeed.
 * @throws Error with the last lines that it wrote.
 */
export async function mustRun(program: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const { code, stdout, stderr } = await runCommand(program, args, options);
  if (code === 0) return stdout;
  const said = (stderr.trim() || stdout.trim()).split("\n").slice(-5).join(" | ");
  throw new Error(`'${program} ${args[0] ?? ""}' failed${code === null ? "" : ` with exit code ${code}`}: ${said}`);
}
