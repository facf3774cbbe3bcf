import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Environment, underHome } from "./home.ts";

export { cacheDir, type Environment } from "./home.ts";

/** The folders of one stack. All derive from the data folder, so that two stacks share nothing. */
export interface StackPaths {
  dataDir: string;
  /** For sockets. Its path is short, because the path of a socket can have at most 107 bytes. */
  runtimeDir: string;
  /** For logs and the supervisor's state. */
  stateDir: string;
  apiSocket: string;
  dataSocket: string;
}

/**
 * Finds the stack's data folder: `TYGER_DATA_DIR`, else below `XDG_DATA_HOME`, else below `~/.local/share`.
 * @returns undefined if the environment names no folder.
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
