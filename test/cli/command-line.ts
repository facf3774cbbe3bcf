import { PassThrough, Readable } from "node:stream";
import { readStackConfig } from "../../config/stack.ts";
import type { Host } from "../../cli/terminal/host.ts";
import type { InterruptSignal } from "../../cli/terminal/signals.ts";
import { writeLogin } from "../../client/login-writer.ts";
import { runProgram } from "../../cli/program.ts";
import { TerminalOutput } from "../../cli/terminal/terminal-output.ts";
import type { FakeServer } from "../fakes/tyger-server.ts";

export interface CommandLineOptions {
  server?: FakeServer;
  loginFile?: string;
  stdin?: Readable | string | Buffer;
  closedStreams?: ("stdin" | "stdout")[];
  localSockets?: string[];
  /** The environment of `up`, `down` and `status`. */
  stackEnvironment?: Readonly<Record<string, string>>;
  dockerHost?: string;
  parentName?: string;
  stdout?: PassThrough;
  terminal?: boolean;
  /** The width of the terminal, 80 unless given. */
  columns?: number;
  noColor?: boolean;
}

/** A command under way in this process. */
export interface RunningCommand {
  exitCode: Promise<number>;
  stdout: () => Buffer;
  stderr: () => string;
  /** As a signal to the process would; SIGINT unless another is given. */
  interrupt: (signal?: InterruptSignal) => void;
}

/** Starts a command line as the process would, with a host of the test's. */
export async function startTyger(argv: readonly string[], options: CommandLineOptions = {}): Promise<RunningCommand> {
  const { server, stdin = "" } = options;
  if (server) writeLogin(server.loginFile, { serverUrl: `http+unix://${server.socketPath}:`, proxy: "auto" });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  const stdout = options.stdout ?? new PassThrough();
  const stderr = new PassThrough();
  if (!options.stdout) stdout.on("data", (chunk: Buffer) => out.push(Buffer.from(chunk)));
  stderr.on("data", (chunk: Buffer) => err.push(chunk));
  stdout.on("error", () => undefined);
  const isTerminal = options.terminal ?? false;
  const terminal = isTerminal ? new TerminalOutput(stderr, () => 80) : undefined;
  const handlers = new Set<(signal: InterruptSignal) => void>();
  const host: Host = {
    config: {
      loginFile: server?.loginFile ?? options.loginFile,
      localSockets: async () => options.localSockets ?? [],
      stack: async () => readStackConfig(options.stackEnvironment ?? {}, process.getuid?.() ?? 0),
      dockerHost: options.dockerHost,
      closedStreams: [],
      ignoresHangup: false,
      noColor: options.noColor ?? false,
      isDumbTerminal: false,
      columns: undefined,
    },
    faultOf: (stream) => (options.closedStreams?.includes(stream) ? "is closed" : undefined),
    stdin: stdin instanceof Readable ? stdin : Readable.from([Buffer.from(stdin)].filter(({ length }) => length > 0)),
    stdout,
    stderr: terminal ?? stderr,
    columns: isTerminal ? (options.columns ?? 80) : undefined,
    hasStatus: isTerminal,
    hasColors: { stdout: isTerminal && !options.noColor, stderr: isTerminal && !options.noColor },
    showStatus: (text) => terminal?.showStatus(text),
    onInterrupt: (handler) => {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    parentName: () => options.parentName ?? "bash",
  };
  return {
    exitCode: runProgram(argv, host, "1.2.3"),
    stdout: () => Buffer.concat(out),
    stderr: () => Buffer.concat(err).toString(),
    interrupt: (signal = "SIGINT") => handlers.forEach((handler) => handler(signal)),
  };
}

/** Runs a command line to its end. */
export async function tyger(
  argv: string | readonly string[],
  options?: CommandLineOptions,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const words = typeof argv === "string" ? argv.split(" ").filter((word) => word !== "") : argv;
  const running = await startTyger(words, options);
  const code = await running.exitCode;
  return { code, stdout: running.stdout().toString(), stderr: running.stderr() };
}
