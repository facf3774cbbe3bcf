import { readArgv } from "./line/argv.ts";
import { FatalError, QuietFailure, UsageError } from "./line/command.ts";
import { errnoOf } from "../model/errors.ts";
import { type Host, isBrokenPipe, writeAll } from "./terminal/host.ts";
import { createLog, type Log } from "./terminal/log.ts";
import { TREE } from "./tree.ts";

/** Runs one command line and returns the exit code: 0, or 1 for any failure, which prints one line on stderr. */
export async function runProgram(argv: readonly string[], host: Host, version: string): Promise<0 | 1> {
  let log = logOf(host, {});
  try {
    const invocation = await readArgv(argv, TREE);
    const { path, branch, command, wants, args, globals, rest } = invocation;
    log = logOf(host, globals);
    if (wants === "version") {
      await writeAll(host.stdout, `tyger version ${version}\n`);
    } else if (wants === "help" || !command) {
      const { usageOf } = await import("./line/usage.ts");
      await writeAll(
        host.stdout,
        await usageOf(path, branch, { hasColors: host.hasColors.stdout, columns: host.columns }),
      );
    } else {
      await command.run({ args, rest, globals, host, log });
    }
    return 0;
  } catch (err) {
    await reportFailure(err, host, log);
    return 1;
  }
}

function logOf(host: Host, globals: { "log-level"?: "trace" | "debug" | "info" | "warn" | "error" } & Format): Log {
  return createLog({
    level: globals["log-level"] ?? "info",
    format: globals["log-format"] ?? (host.hasColors.stderr ? "pretty" : "plain"),
    write: (text) => void host.stderr.write(text),
  });
}

interface Format {
  "log-format"?: "pretty" | "plain" | "json" | undefined;
}

async function reportFailure(failure: unknown, host: Host, log: Log): Promise<void> {
  if (failure instanceof QuietFailure || isBrokenPipe(failure, host)) return;
  if (failure instanceof FatalError) return log.fatal(failure.message, failure.fields);
  const { message } = isOfStdout(failure, host)
    ? (await import("./read/file-failure.ts")).stdoutFailure(failure)
    : asError(failure);
  const hint = failure instanceof UsageError && failure.hint !== undefined ? `${failure.hint}\n` : "";
  if (failure instanceof Error && failure.stack !== undefined)
    log.debug("Where the error comes from", { stack: failure.stack });
  await writeAll(host.stderr, `Error: ${message.trimEnd().replaceAll("\n", " ")}\n${hint}`).catch(() => {});
}

const asError = (failure: unknown): Error => (failure instanceof Error ? failure : new Error(String(failure)));

/** The system's error, whose text does not say that stdout is meant. */
const isOfStdout = (failure: unknown, { stdout }: Host): boolean =>
  failure === stdout.errored && errnoOf(failure) !== undefined;
