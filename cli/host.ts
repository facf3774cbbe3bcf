import { createWriteStream, fstatSync, readFileSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Readable, Writable } from "node:stream";
import type { CliConfig } from "../config/cli.ts";
import { TerminalOutput } from "./terminal-output.ts";

/** What a command may touch of the process it runs in; tests give their own. */
export interface Host {
  config: CliConfig;
  /** Opened when it is first asked for. */
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  isTerminal: { stdout: boolean; stderr: boolean };
  /** Whether colours may go to these. */
  hasColours: { stdout: boolean; stderr: boolean };
  /** Shows one line below all that is written to stderr, on a terminal only; an empty one takes it away. */
  showStatus(text: string): void;
  /**
   * Calls `handler` with the first SIGINT or SIGTERM instead of dying of it; the second one ends the process at once.
   * Returns a function that takes the handler away.
   */
  onInterrupt(handler: () => void): () => void;
  /** The name of the parent process, empty where it cannot be told. */
  parentName(): string;
}

/** The host of the running process, whose streams can be given back at its end. */
export interface ProcessHost extends Host {
  /** Resolves when what was written has left the process; output of a failed command is not waited for. */
  release(hasSucceeded: boolean): Promise<void>;
}

/** The host of the running process. */
export function processHost(config: CliConfig, leave: (exitCode: number) => never): ProcessHost {
  let stdin: Readable | undefined;
  let stdout: Writable | undefined;
  let stderr: Writable | undefined;
  const terminals = { stdout: isTerminal(1), stderr: isTerminal(2) };
  return {
    config,
    isTerminal: terminals,
    hasColours: config.noColour ? { stdout: false, stderr: false } : terminals,
    showStatus(text) {
      if (stderr instanceof TerminalOutput) stderr.showStatus(text);
    },
    get stdin() {
      return (stdin ??= process.stdin);
    },
    get stdout() {
      return (stdout ??= config.closedStreams.includes("stdout") ? closedOutput() : openOutput(1));
    },
    get stderr() {
      return (stderr ??= openOutput(2));
    },
    onInterrupt: (handler) => onSignals(handler, leave),
    parentName,
    async release(hasSucceeded) {
      stdin?.destroy();
      this.showStatus("");
      if (hasSucceeded) await drained(stdout);
      else stdout?.destroy();
      await Promise.race([drained(stderr), sleep(FAREWELL_MS, undefined, { ref: false })]);
    },
  };
}

/**
 * A stream on an inherited descriptor. Node writes to pipes synchronously, so that a slow reader would keep signals and
 * the network waiting; here only the stream waits. Files and terminals never block for long.
 */
function openOutput(fd: 1 | 2): Writable {
  const stat = fstatSync(fd);
  const stream: Writable =
    stat.isFIFO() || stat.isSocket()
      ? new Socket({ fd, readable: false, writable: true })
      : stat.isFile()
        ? createWriteStream("", { fd, autoClose: false })
        : fd === 1
          ? process.stdout
          : process.stderr.isTTY
            ? new TerminalOutput(process.stderr, () => process.stderr.columns)
            : process.stderr;
  // A reader that went away is learned from the write that fails; what cannot be said on stderr is not said.
  stream.on("error", () => {});
  return stream;
}

/** What the caller closed takes nothing: the runtime would swallow it. */
const closedOutput = (): Writable =>
  new Writable({ write: (_chunk, _encoding, done) => done(new Error("stdout is closed")) }).on("error", () => {});

/** Asked of devices only: for pipes and files the stream of the process need not be made. */
const isTerminal = (fd: 1 | 2): boolean =>
  fstatSync(fd).isCharacterDevice() && (fd === 1 ? process.stdout : process.stderr).isTTY;

function onSignals(handler: () => void, leave: (exitCode: number) => never): () => void {
  let isSecond = false;
  const listener = (): void => {
    if (isSecond) leave(1);
    isSecond = true;
    handler();
  };
  process.on("SIGINT", listener).on("SIGTERM", listener);
  return () => void process.off("SIGINT", listener).off("SIGTERM", listener);
}

/** What Linux keeps in /proc: `pid (name) state …`; the name may itself hold parentheses. */
function parentName(): string {
  try {
    const stat = readFileSync(`/proc/${process.ppid}/stat`, "utf8");
    return stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
  } catch {
    return "";
  }
}

/** Writes all of `text`. @throws the stream's error, EPIPE when its reader has gone */
export function writeAll(stream: Writable, text: string | Uint8Array): Promise<void> {
  // A stream that has failed would say only that it is closed.
  if (stream.errored) return Promise.reject(stream.errored);
  return new Promise((resolve, reject) => {
    stream.write(text, (err) => (err ? reject(err) : resolve()));
  });
}

/** How long a slow reader of stderr is waited for when the command is over. */
const FAREWELL_MS = 1000;

const drained = (stream: Writable | undefined): Promise<void> =>
  stream === undefined || stream.writableLength === 0 ? Promise.resolve() : writeAll(stream, "").catch(() => {});
