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

/** The parts of its process that a command can use. Tests pass their own. */
export interface Host {
  config: CliConfig;
  /** Why stdin cannot be read, or stdout not be written, whatever the command; undefined if it can. */
  faultOf(stream: "stdin" | "stdout"): string | undefined;
  /** Opened on first use. */
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Whether colors can be written to these. */
  hasColors: { stdout: boolean; stderr: boolean };
  /** The width of the terminal that stdout is; undefined if it is not one, and lines can have any length. */
  readonly columns: number | undefined;
  /** Whether stderr is a terminal that can show a status. */
  hasStatus: boolean;
  /** Shows one line below everything written to the terminal, if it can; an empty line removes it. */
  showStatus(text: string): void;
  /**
   * Calls `handler` with the first signal that interrupts a command instead of dying of it; the second one ends the
   * process at once. Returns a function that removes the handler.
   */
  onInterrupt(handler: (signal: InterruptSignal) => void): () => void;
  /** The name of the parent process, empty if it is unknown. */
  parentName(): string;
}

/** The host of the running process, which must be released before it exits. */
export interface ProcessHost extends Host {
  /** The signal that a handler of {@link onInterrupt} was called with. */
  readonly interruptedBy: InterruptSignal | undefined;
  /** Resolves when all written bytes have left the process. The output of a failed command is not waited for. */
  release(hasSucceeded: boolean): Promise<void>;
}

export function processHost(config: CliConfig): ProcessHost {
  // An ignored SIGHUP stays ignored, also by commands that handle no signal.
  if (config.ignoresHangup) process.on("SIGHUP", () => {});
  let interruptedBy: InterruptSignal | undefined;
  let stdin: Readable | undefined;
  let stdout: Writable | undefined;
  let stderr: Writable | undefined;
  const terminals = { stdout: isTerminal(1), stderr: isTerminal(2) };
  const noColors = { stdout: false, stderr: false };
  /** The width that a terminal reports; some report 0 if they do not know it. */
  const columnsOf = ({ columns }: WriteStream): number => columns || config.columns || USUAL_COLUMNS;
  const openError = (): Writable =>
    terminals.stderr && !config.isDumbTerminal
      ? withoutCrash(new TerminalOutput(process.stderr, () => columnsOf(process.stderr)))
      : openOutput(2);
  return {
    config,
    hasColors: config.noColor || config.isDumbTerminal ? noColors : terminals,
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
 * A stream on an inherited descriptor. Node writes to pipes synchronously, so a slow reader would block signals and
 * the network; here only the stream waits. Files and terminals never block for long.
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

/** The failed write reports a reader that has gone; an error that cannot be written to stderr is dropped. */
const withoutCrash = <S extends Writable>(stream: S): S => stream.on("error", () => {});

const USUAL_COLUMNS = 80;

/** Fails each write: the runtime would silently drop the bytes. */
const refusingOutput = (reason: string): Writable =>
  withoutCrash(new Writable({ write: (_chunk, _encoding, done) => done(new Error(reason)) }));

/** Checked only for devices: for pipes and files the process's stream need not be created. */
const isTerminal = (fd: 1 | 2): boolean =>
  fstatSync(fd).isCharacterDevice() && (fd === 1 ? process.stdout : process.stderr).isTTY;

/** Whether an error means that the reader of our output has gone. A closed terminal has its own error code. */
export const isBrokenPipe = (err: unknown, host: Pick<Host, "columns">): boolean =>
  errnoOf(err) === "EPIPE" || (errnoOf(err) === "EIO" && host.columns !== undefined);

/** From Linux's /proc: `pid (name) state …`, where the name can itself contain parentheses. */
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
  // After a failure the stream itself reports only that it is closed.
  if (stream.errored) return Promise.reject(stream.errored);
  return new Promise((resolve, reject) => {
    stream.write(text, (err) => (err ? reject(err) : resolve()));
  });
}

/** How long to wait for a slow reader of stderr when the command has finished. */
const FAREWELL_MS = 1000;

const drained = (stream: Writable | undefined): Promise<void> =>
  stream === undefined || stream.writableLength === 0 ? Promise.resolve() : writeAll(stream, "").catch(() => {});
