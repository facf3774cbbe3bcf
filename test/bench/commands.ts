import { spawn } from "node:child_process";
import { once } from "node:events";

/** Runs a shell line to its end. @throws Error with what it said, when it fails */
export async function shell(line: string, env: Record<string, string>): Promise<string> {
  const child = spawn("bash", ["-o", "pipefail", "-c", line], { env, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text: Buffer) => (stdout += text.toString()));
  child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`'${line}' failed: ${stderr.slice(-500)}`);
  return stdout;
}
