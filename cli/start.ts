import { readCliConfig } from "../config/cli.ts";
import { flushed, processHost } from "./host.ts";
import { runProgram } from "./program.ts";

/** Obeys the command line of this process and ends it: kept-alive connections and an open stdin are no reason to linger. */
export async function start(argv: readonly string[], env: Readonly<NodeJS.ProcessEnv>, version: string): Promise<void> {
  const config = readCliConfig(env, process.getuid?.() ?? 0);
  const host = processHost(config, (exitCode) => process.exit(exitCode));
  const exitCode = await runProgram(argv, host, version);
  await flushed(host, exitCode);
  process.exit(exitCode);
}
