import { createWriteStream, fstatSync, readFileSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Readable, Writable } from "node:stream";
import type { WriteStream } from "node:tty";
import type { CliConfig } from "../../config/cli.ts";
import { errnoOf } from "../../model/errors.ts";
import { type InterruptSignal, onSignals } from "./signals.ts";
import { failWithReader } from "./pipe-reader.ts";
import { streamFault, typed } from "./standard-streams.ts";
import { TerminalOutput } from "./terminal-output.ts";

/** What a command may touch of the process it runs in; tests give their own. */
export interface Host {
  config: CliConfig;
  /** Why stdin cannot be read, or stdout not be written, whatever the command; undefined if it can. */
  faultOf(stream: "stdin" | "stdout"): string | undefined;
  /** Opened when it is first asked for. */
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Whether colours may go to these. */
  hasColours: { stdout: boolean; stderr: boolean };
  /** The width of the terminal that stdout is; undefined where it is none, and lines may have any length. */
  readonly columns: number | undefined;
  /** Whether stderr is a terminal that can show a status. */
  hasStatus: boolean;
  /** Shows one line below all that is written to the terminal, if it can; an empty one takes it away. */
  showStatus(text: string): void;
  /**
   * Calls `handler` with the first signal that interrupts a command instead of dying of it; the second one ends the
   * process at once. Returns a function that removes the handler.
   */
  onInterrupt(handler: (signal: InterruptSignal) => void): () => void;
  /** The name of the parent process, empty where it cannot be told. */
  parentName(): string;
}

/** The host of the running process, whose streams can be given back at its end. */
export interface ProcessHost extends Host {
  /** The signal that a handler of {@link onInterrupt} was called with. */
  readonly interruptedBy: InterruptSignal | undefined;
  /** Resolves when what was written has left the process; output of a failed command is not waited for. */
  release(hasSucceeded: boolean): Promise<void>;
}

/** The host of the running process. */
export function processHost(config: CliConfig): ProcessHost {
  // An ignored SIGHUP stays ignored, also by commands that handle no signal.
  if (config.ignoresHangup) process.on("SIGHUP", () => {});
  let interruptedBy: InterruptSignal | undefined;
  let stdin: Readable | undefined;
  let stdout: Writable | undefined;
  let stderr: Writable | undefined;
  const terminals = { stdout: isTerminal(1), stderr: isTerminal(2) };
  const noColours = { stdout: false, stderr: false };
  /** The width that a terminal says it has; some say 0, when they do not know. */
  const columnsOf = ({ columns }: WriteStream): number => columns || config.columns || USUAL_COLUMNS;
  const openError = (): Writable =>
    terminals.stderr && !config.isDumbTerminal
      ? withoutCrash(new TerminalOutput(process.stderr, () => columnsOf(process.stderr)))
      : openOutput(2);
  return {
    config,
    hasColours: config.noColour || config.isDumbTerminal ? noColours : terminals,
    get columns() {
      return terminals.stdout ? columnsOf(process.stdout) : undefined;
    },
    hasStatus: terminals.stderr && !config.isDumbTerminal,
    showStatus(text) {
      if (stderr instanceof TerminalOutput) stderr.showStatus(text);
    },
    faultOf: (stream) => streamFault(stream, config.closedStreams),
    get stdin() {
      return (stdin ??= process.stdin.isTTY ? Readable.from(typed(config.ignoresHangup)) : process.stdin);
    },
    get stdout() {
      if (stdout) return stdout;
      const fault = this.faultOf("stdout");
      if (fault !== undefined) return (stdout = refusingOutput(`stdout ${fault}`));
      // Stderr is opened only where the two meet: most commands that succeed never use it.
      const beside = terminals.stdout && this.hasStatus ? this.stderr : undefined;
      const isShared = beside instanceof TerminalOutput;
      return (stdout = isShared ? withoutCrash(beside.besides(process.stdout)) : openOutput(1));
    },
    get stderr() {
      return (stderr ??= openError());
    },
    get interruptedBy() {
      return interruptedBy;
    },
    onInterrupt: (handler) =>
      onSignals(config.ignoresHangup ? ["SIGHUP"] : [], (signal) => {
        interruptedBy = signal;
        handler(signal);
      }),
    parentName,
    async release(hasSucceeded) {
      if (stdin) process.stdin.destroy();
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
          : process.stderr;
  withoutCrash(stream);
  if (fd === 1 && stat.isFIFO()) failWithReader(stream, fd);
  return stream;
}

/** A reader that went away is learned from the write that fails; what cannot be said on stderr is not said. */
const withoutCrash = <S extends Writable>(stream: S): S => stream.on("error", () => {});

const USUAL_COLUMNS = 80;

/** Fails each write: the runtime would drop the bytes without a word. */
const refusingOutput = (reason: string): Writable =>
  withoutCrash(new Writable({ write: (_chunk, _encoding, done) => done(new Error(reason)) }));

/** Asked of devices only: for pipes and files the stream of the process need not be made. */
const isTerminal = (fd: 1 | 2): boolean =>
  fstatSync(fd).isCharacterDevice() && (fd === 1 ? process.stdout : process.stderr).isTTY;

/** Whether an error says that the reader of our output has gone; a terminal that was closed gives an error of its own. */
export const isBrokenPipe = (err: unknown, host: Pick<Host, "columns">): boolean =>
  errnoOf(err) === "EPIPE" || (errnoOf(err) === "EIO" && host.columns !== undefined);

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
