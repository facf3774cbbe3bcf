import { mkdir, open, readdir, rm, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { writeWholeBy } from "../disk/write-stream.ts";
import { CodedError, errnoOf, messageOf } from "../model/errors.ts";
import { logInstant } from "../model/time/instant.ts";
import { identityInName, textOf, type RunIdentity } from "../model/run/identity.ts";
import type { LogArchive, LogLine, LogLines } from "../model/ports/log.ts";
import {
  blockOfInstant,
  blockOfLine,
  decodeIndex,
  encodeIndex,
  IndexBuilder,
  indexOffsetOf,
  TRAILER_BYTES,
  type ArchiveIndex,
} from "./archive-index.ts";
import { decodeLine, encodeLine, withLineFeed } from "./line.ts";

/** Runs in one folder; a file system is slow to list many more. */
const RUNS_PER_FOLDER = 1000;
const ENDING = ".log";
const WRITE_BYTES = 256 * 1024;
const READ_BYTES = 256 * 1024;
/** Age at which an unfinished archive counts as left by a dead writer. */
const STALE_MS = 24 * 3_600_000;
const LINE_FEED = 0x0a;

/** Keeps the log of each ended run in a file of its own below `dir`. */
export function createLogArchive(dir: string): LogArchive {
  const pathOf = (run: RunIdentity): string =>
    join(dir, String(Math.floor(run.id / RUNS_PER_FOLDER)), `${textOf(run)}${ENDING}`);
  return {
    async write(run, lines) {
      const path = pathOf(run);
      try {
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        if (!(await isThere(path))) {
          await removeUnfinished(path, STALE_MS);
          // The index tells readers that the lines before it are all there are.
          await writeWholeBy(path, async (file) => file.appendFile(encodeIndex(await writeLines(file, lines))), {
            once: true,
          });
        }
        // With the whole log there, those of writers that died, or that are still busy, are worth nothing.
        await removeUnfinished(path, 0);
      } catch (err) {
        if (errnoOf(err) === undefined) throw err;
        const message = `The log of run '${run.id}' could not be archived: ${messageOf(err)}`;
        throw new CodedError("Unavailable", message, { cause: err });
      }
    },

    async read(run, { tailLines, since }) {
      const path = pathOf(run);
      if (!(await isThere(path))) return undefined;
      return readLines(path, tailLines, since === undefined ? undefined : logInstant(since));
    },

    async highestNumber() {
      const folders = (await namesIn(dir)).filter((name) => /^[0-9]+$/.test(name)).map(Number);
      for (const folder of folders.sort((a, b) => b - a)) {
        const names = await namesIn(join(dir, String(folder)));
        const ids = names.map((name) => identityInName(name.split(ENDING, 1)[0] ?? "")?.id ?? 0);
        // A writer that died can have left nothing but an empty folder.
        if (ids.length > 0) return Math.max(...ids);
      }
      return 0;
    },
  };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (err) {
    if (errnoOf(err) === "ENOENT") return false;
    throw err;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (err) {
    if (errnoOf(err) === "ENOENT") return [];
    throw err;
  }
}

async function writeLines(file: FileHandle, lines: LogLines): Promise<ArchiveIndex> {
  const index = new IndexBuilder();
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  const flush = async (): Promise<void> => {
    await file.appendFile(Buffer.concat(pending));
    pending = [];
    pendingBytes = 0;
  };
  const append = (line: LogLine): void => {
    const bytes = encodeLine(line);
    index.add(line.at, bytes.length);
    pending.push(bytes);
    pendingBytes += bytes.length;
  };
  // A line is held back until it is known whether another one follows.
  let last: LogLine | undefined;
  for await (const batch of lines) {
    for (const line of batch) {
      if (last) append(withLineFeed(last));
      last = line;
      if (pendingBytes >= WRITE_BYTES) await flush();
    }
  }
  if (last) append(last);
  await flush();
  return index.build();
}

async function* readLines(path: string, tailLines: number | undefined, since: string | undefined): LogLines {
  const file = await open(path, "r");
  try {
    yield* linesOf(file, await readIndex(file), tailLines, since);
  } finally {
    await file.close();
  }
}

async function* linesOf(
  file: FileHandle,
  index: ArchiveIndex,
  tailLines: number | undefined,
  since: string | undefined,
): LogLines {
  if (tailLines === 0) return;
  if (since === undefined) {
    const first = tailLines === undefined ? 0 : Math.max(0, index.lineCount - tailLines);
    const block = blockOfLine(index, first);
    if (block) yield* without(first - block.linesBefore, linesFrom(file, block.offset, index.sizeBytes));
    return;
  }
  const block = blockOfInstant(index, since);
  if (!block) return;
  const later = (): LogLines => laterThan(since, linesFrom(file, block.offset, index.sizeBytes));
  if (tailLines === undefined) {
    yield* later();
    return;
  }
  let count = 0;
  for await (const batch of later()) count += batch.length;
  yield* without(count - tailLines, later());
}

async function readIndex(file: FileHandle): Promise<ArchiveIndex> {
  const { size } = await file.stat();
  const trailer = await readRange(file, Math.max(0, size - TRAILER_BYTES), size);
  const offset = indexOffsetOf(trailer);
  return decodeIndex(await readRange(file, offset, size - TRAILER_BYTES));
}

async function readRange(file: FileHandle, from: number, to: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(Math.max(0, to - from));
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, from + filled);
    if (bytesRead === 0) throw new Error("The archived log is shorter than its index says");
    filled += bytesRead;
  }
  return bytes;
}

/** The lines of a range that starts with a line, a batch for each part that is read. */
async function* linesFrom(file: FileHandle, from: number, to: number): LogLines {
  let begun: Buffer[] = [];
  for (let offset = from; offset < to; offset += READ_BYTES) {
    const part = await readRange(file, offset, Math.min(to, offset + READ_BYTES));
    const lines: LogLine[] = [];
    let start = 0;
    for (let end = part.indexOf(LINE_FEED); end >= 0; end = part.indexOf(LINE_FEED, start)) {
      const piece = part.subarray(start, end + 1);
      lines.push(decodeLine(begun.length === 0 ? piece : Buffer.concat([...begun, piece])));
      begun = [];
      start = end + 1;
    }
    if (start < part.length) begun.push(part.subarray(start));
    if (lines.length > 0) yield lines;
  }
  if (begun.length > 0) yield [decodeLine(Buffer.concat(begun))];
}

async function* laterThan(since: string, lines: LogLines): LogLines {
  for await (const batch of lines) {
    const later = batch.filter(({ at }) => at > since);
    if (later.length > 0) yield later;
  }
}

async function* without(count: number, lines: LogLines): LogLines {
  let toSkip = Math.max(0, count);
  for await (const batch of lines) {
    const rest = batch.slice(toSkip);
    toSkip -= batch.length - rest.length;
    if (rest.length > 0) yield rest;
  }
}

/** Removes archives of the run that were begun and not published, once they are `ageMs` old. */
async function removeUnfinished(path: string, ageMs: number): Promise<void> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.`;
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix)) continue;
    const unfinished = join(folder, name);
    const age = await stat(unfinished).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      // Another writer of this run has removed it.
      () => undefined,
    );
    if (age !== undefined && age >= ageMs) await rm(unfinished, { force: true });
  }
}
