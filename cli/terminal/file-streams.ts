import { constants, createReadStream, createWriteStream, openSync } from "node:fs";
import { stat } from "node:fs/promises";
import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { errnoOf } from "../../model/errors.ts";
import { every, retry } from "../../waiting/retry.ts";
import { failWithReader } from "./pipe-reader.ts";
import { fileFailure } from "../read/file-failure.ts";

/** How often to retry opening a named pipe that has no reader yet. */
const FIFO_RETRY_MS = 20;

/**
 * Opens a file or a named pipe for reading. A pipe is never opened in blocking mode, which would keep the process from exiting.
 * @throws Error that names the file
 */
export async function openInput(path: string): Promise<{ stream: Readable; isRegular: boolean }> {
  const stats = await stat(path).catch((err: unknown) => {
    throw fileFailure(path, "read", err);
  });
  // Opening a folder succeeds; only reading from it fails.
  if (stats.isDirectory()) throw fileFailure(path, "read", { code: "EISDIR" });
  if (!stats.isFIFO()) {
    const fd = opened(path, "read", constants.O_RDONLY);
    return { stream: createReadStream("", { fd }), isRegular: stats.isFile() };
  }
  const fd = opened(path, "read", constants.O_RDONLY | constants.O_NONBLOCK);
  return { stream: new Socket({ fd, readable: true, writable: false }), isRegular: false };
}

function opened(path: string, use: "read" | "written", flags: number | string): number {
  try {
    return openSync(path, flags);
  } catch (err) {
    throw fileFailure(path, use, err);
  }
}

/**
 * Opens and truncates a file, or opens a named pipe once it has a reader.
 * @throws Error that names the file
 */
export async function openOutputFile(path: string, signal?: AbortSignal): Promise<Writable> {
  const isFifo = await stat(path).then(
    (stats) => stats.isFIFO(),
    () => false,
  );
  if (!isFifo) return withoutCrash(createWriteStream("", { fd: opened(path, "written", "w") }));
  const open = async (): Promise<number> => openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  try {
    const fd = await retry(open, { pauses: every(FIFO_RETRY_MS), signal, passes: hasNoReader });
    const stream = withoutCrash(new Socket({ fd, readable: false, writable: true }));
    failWithReader(stream, fd);
    return stream;
  } catch (err) {
    throw signal?.aborted ? err : fileFailure(path, "written", err);
  }
}

const hasNoReader = (err: unknown): boolean => errnoOf(err) === "ENXIO";

/** The write reports the error to its caller; the event alone must not end the process. */
function withoutCrash(stream: Writable): Writable {
  stream.on("error", () => {});
  return stream;
}
