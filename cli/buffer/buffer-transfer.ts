import type { Writable } from "node:stream";
import type { BlobSource } from "../../buffers/format/blobs.ts";
import { type ReadOptions, readBuffer } from "../../buffers/format/reader.ts";
import { accessTo } from "../../client/transfers.ts";
import { unlessAborted } from "../../waiting/bounded.ts";
import { directAccess } from "./buffer-access.ts";
import { connect } from "../server/connect.ts";
import { type ArgsDef, type CommandContext, FatalError, QuietFailure } from "../line/command.ts";
import { type Host, isBrokenPipe, writeAll } from "../terminal/host.ts";
import { InterruptedError, withInterrupt } from "../terminal/interrupt.ts";
import type { Log } from "../terminal/log.ts";
import { TransferProgress } from "./transfer-progress.ts";
import { formatTtl } from "../read/ttl.ts";

export interface BufferTransfer {
  operation: "buffer read" | "buffer write";
  /** Id, URL or file with a URL. */
  argument: string;
  dop: number;
  ttlSeconds: number | undefined;
  run: (access: BlobSource, hooks: TransferHooks) => Promise<unknown>;
}

/** Options that every transfer takes besides source, sink, and access. */
export interface TransferHooks {
  signal: AbortSignal;
  dop: number;
  onProgress: (sizeBytes: number) => void;
  onRetry: (reason: string) => void;
  onWarning: (message: string) => void;
}

/** Runs one transfer with its progress log; a signal stops it. */
export async function transferBuffer<A extends ArgsDef>(
  context: CommandContext<A>,
  { operation, argument, dop, ttlSeconds, run }: BufferTransfer,
): Promise<void> {
  const { host, log } = context;
  if (dop < 1) throw new Error(`--dop must be at least 1, not '${dop}'`);
  const direct = await directAccess(argument);
  if (direct && ttlSeconds !== undefined) throw new Error("--access-ttl requires a buffer id");
  const buffer = direct ? nameOf(argument) : argument;
  const wish = {
    writeable: operation === "buffer write",
    ttl: ttlSeconds === undefined ? undefined : formatTtl(ttlSeconds),
  };
  const access = direct ?? accessTo((await connect(context)).buffers, argument, wish);
  warnPowerShell(host, log);
  await withInterrupt(host, log, async (signal) => {
    const progress = new TransferProgress(host, log, { operation, buffer });
    let hasSucceeded = false;
    try {
      await run(access, { signal, dop, onProgress: (sizeBytes) => progress.add(sizeBytes), ...warnings(log) });
      hasSucceeded = true;
    } catch (err) {
      if (isBrokenPipe(err, host)) throw new QuietFailure();
      const error = signal.aborted ? new InterruptedError() : err;
      const verb = operation === "buffer read" ? "read" : "write";
      throw new FatalError(`Failed to ${verb} buffer`, { buffer, error }, { cause: err });
    } finally {
      progress.end(hasSucceeded);
    }
  });
}

/** Reports retries and warnings of a transfer as log lines. */
export const warnings = (log: Log): Pick<TransferHooks, "onRetry" | "onWarning"> => ({
  onRetry: (error) => log.warn("Received retryable error", { error }),
  onWarning: (message) => log.warn(message),
});

/**
 * Writes a buffer's bytes to `stream` at the pace of its reader; does not end it. Treats each piece as written
 * once the stream has called back for it, so a stream that passes pieces on, such as a PassThrough, does not work.
 * @throws the stream's error, also when it occurs between two writes, and what {@link readBuffer} throws
 */
export async function readInto(
  stream: Writable,
  access: BlobSource,
  { signal, onProgress, ...options }: Omit<ReadOptions, "reuseMemory"> & Pick<TransferHooks, "signal" | "onProgress">,
): Promise<void> {
  const broken = new AbortController();
  const onError = (err: Error): void => broken.abort(err);
  stream.on("error", onError);
  try {
    const reading = { ...options, signal: AbortSignal.any([signal, broken.signal]), reuseMemory: true };
    const pieces = readBuffer(access, reading);
    for await (const piece of pieces) {
      await unlessAborted(writeAll(stream, piece), pieces.failed);
      onProgress(piece.byteLength);
    }
    // Bytes still queued in the stream have not reached its reader yet.
    await writeAll(stream, "");
  } finally {
    stream.off("error", onError);
  }
}

/** The bytes that a command reads from stdin. @throws Error if stdin cannot be read */
export function stdinOf(host: Host): AsyncIterable<Uint8Array> {
  const fault = host.faultOf("stdin");
  if (fault !== undefined) throw new Error(`stdin ${fault}, but the input comes from it`);
  return host.stdin as AsyncIterable<Uint8Array>;
}

/** The name of a buffer given by URL: never the URL itself, which grants access. */
const nameOf = (argument: string): string =>
  URL.canParse(argument) ? (new URL(argument).pathname.split("/").at(-1) ?? "") : argument;

const POWERSHELLS = new Set(["pwsh", "pwsh.exe", "powershell.exe"]);

/** Warns when the parent is a shell that treats bytes as text. */
export function warnPowerShell(host: Host, log: Log): void {
  if (POWERSHELLS.has(host.parentName())) {
    log.warn("PowerShell I/O redirection may corrupt binary data; use files or another shell");
  }
}
