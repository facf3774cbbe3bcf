import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Environment, underHome } from "./home.ts";

export { cacheDir, type Environment } from "./home.ts";

/** Where one stack keeps what is its own; two stacks differ in their data folder and share nothing. */
export interface StackPaths {
  dataDir: string;
  /** Sockets: short, for a socket's path may have 107 bytes. */
  runtimeDir: string;
  /** Log files of the processes, and the supervisor's state. */
  stateDir: string;
  apiSocket: string;
  dataSocket: string;
}

/**
 * The folders of the stack that `env` points to: `TYGER_DATA_DIR`, else below `XDG_DATA_HOME`, else `~/.local/share`.
 * @returns undefined when the environment names no place at all.
 */
export function stackPaths(env: Environment, uid: number): StackPaths | undefined {
  const dataDir = env["TYGER_DATA_DIR"] || underHome(env, "XDG_DATA_HOME", ".local/share");
  if (!dataDir) return undefined;
  const hash = createHash("sha256").update(dataDir).digest("hex").slice(0, 10);
  const base = env["XDG_RUNTIME_DIR"] ? join(env["XDG_RUNTIME_DIR"], "tyger") : `/tmp/tyger-${uid}`;
  const runtimeDir = join(base, hash);
  return {
    dataDir,
    runtimeDir,
    stateDir: join(dataDir, "state"),
    apiSocket: join(runtimeDir, "api.sock"),
    dataSocket: join(runtimeDir, "data.sock"),
  };
}
