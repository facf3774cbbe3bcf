import { readCliConfig } from "../config/cli.ts";
import { processHost } from "./terminal/host.ts";
import { endBySignal } from "./terminal/signals.ts";
import { runProgram } from "./program.ts";

/** How long open handles can keep a finished process alive. */
const LINGER_MS = 200;

/** Runs the command line of this process and lets the process end. */
export async function start(argv: readonly string[], env: Readonly<NodeJS.ProcessEnv>, version: string): Promise<void> {
  const config = readCliConfig(env, process.getuid?.() ?? 0);
  const host = processHost(config);
  process.exitCode = await runProgram(argv, host, version);
  await host.release(process.exitCode === 0);
  if (process.exitCode !== 0 && host.interruptedBy) endBySignal(host.interruptedBy);
  // Not process.exit() at once: it waits for V8's compiler threads, one of which may wait for a garbage collection that
  // then never comes. A process that ends by itself tells them first.
  setTimeout(() => process.exit(), LINGER_MS).unref();
}
