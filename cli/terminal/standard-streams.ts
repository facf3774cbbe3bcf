import { fstatSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Why an inherited stream cannot be used. The runtime takes a folder for an empty input, and drops what is written to a
 * stream that was opened for reading. `closed`: the streams that the caller had closed, which the runtime then opened again.
 */
export function streamFault(stream: "stdin" | "stdout", closed: readonly string[]): string | undefined {
  if (closed.includes(stream)) return "is closed";
  const [fd, use, unfit] = stream === "stdin" ? [0, "reading", WRITE_ONLY] : [1, "writing", READ_ONLY];
  if (fstatSync(fd).isDirectory()) return "is a folder";
  return accessModeOf(fd) === unfit ? `is not open for ${use}` : undefined;
}

const READ_ONLY = 0;
const WRITE_ONLY = 1;

/** The access mode that the descriptor was opened with; undefined on a system without Linux's /proc. */
function accessModeOf(fd: number): number | undefined {
  try {
    const [, flags] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8")) ?? [];
    return flags === undefined ? undefined : parseInt(flags, 8) & 3;
  } catch {
    return undefined;
  }
}

/**
 * The input that a user types. A terminal that closes looks like Ctrl-D, and its SIGHUP can arrive later: what was typed until then
 * must not be taken for the whole input.
 */
export async function* typed(ignoresHangup: boolean): AsyncGenerator<Uint8Array> {
  try {
    yield* process.stdin as AsyncIterable<Uint8Array>;
  } catch (err) {
    if (await isTerminalOpen()) throw err;
  }
  if (await isTerminalOpen()) return;
  if (!ignoresHangup) {
    process.kill(process.pid, "SIGHUP");
    await sleep(HANGUP_MS);
  }
  throw new Error("the terminal was closed");
}

/** Longer than a signal to ourselves takes to arrive. */
const HANGUP_MS = 1000;

/** Loaded when it is needed: most commands read nothing. */
const isTerminalOpen = async (): Promise<boolean> => (await import("node:tty")).isatty(0);
