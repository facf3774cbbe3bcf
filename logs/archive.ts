import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CodedError, errnoOf } from "../model/errors.ts";
import type { LogArchive, LogLine, LogLines, LogQuery } from "../model/log.ts";

/**
 * A run's log is two files: `<id>.log` holds `<instant> <text>` a line, in time order, and `<id>.idx` says how many
 * lines there are and where each thousandth begins. The index is published last: a log without one is not there.
 */
interface LogIndex {
  lines: number;
  sizeBytes: number;
  marks: { line: number; offset: number; at: string }[];
}

const LINES_PER_MARK = 1000;
const LINE_FEED = 0x0a;
/** RFC 3339 with nine digits and `Z`. */
const INSTANT_LENGTH = 30;

export function createLogArchive(dir: string): LogArchive {
  const logFile = (runId: number): string => join(dir, `${runId}.log`);
  const indexFile = (runId: number): string => join(dir, `${runId}.idx`);

  return {
    async write(runId, lines) {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      const unfinished = `${logFile(runId)}.${process.pid}.tmp`;
      const index: LogIndex = { lines: 0, sizeBytes: 0, marks: [] };
      try {
        await pipeline(Readable.from(encode(lines, index)), createWriteStream(unfinished, { mode: 0o600 }));
        await writeFile(`${unfinished}.idx`, JSON.stringify(index), { mode: 0o600 });
        for (const file of [unfinished, `${unfinished}.idx`]) await sync(file);
        await rename(unfinished, logFile(runId));
        await rename(`${unfinished}.idx`, indexFile(runId));
        await sync(dir);
      } catch (err) {
        await Promise.all([unfinished, `${unfinished}.idx`].map((file) => rm(file, { force: true })));
        if (errnoOf(err) !== "ENOSPC") throw err;
        throw new CodedError("Unavailable", `No space is left for the log of run '${runId}'`, { cause: err });
      }
    },

    async read(runId, query) {
      let index: LogIndex;
      try {
        // Written by this class only, and published whole.
        index = JSON.parse(await readFile(indexFile(runId), "utf8")) as LogIndex;
      } catch (err) {
        if (errnoOf(err) === "ENOENT") return undefined;
        throw err;
      }
      return decode(logFile(runId), index, query);
    },
  };
}

async function* encode(lines: LogLines, index: LogIndex): AsyncGenerator<Buffer> {
  for await (const batch of lines) {
    const parts: Uint8Array[] = [];
    for (const { at, bytes } of batch) {
      if (index.lines % LINES_PER_MARK === 0) index.marks.push({ line: index.lines, offset: index.sizeBytes, at });
      parts.push(Buffer.from(`${at} `), bytes);
      index.lines += 1;
      index.sizeBytes += at.length + 1 + bytes.byteLength;
    }
    if (parts.length > 0) yield Buffer.concat(parts);
  }
}

/** The lines that `query` asks for, starting from the last mark before the first of them. */
async function* decode(
  file: string,
  index: LogIndex,
  { tailLines, since }: Pick<LogQuery, "tailLines" | "since">,
): LogLines {
  const firstLine = tailLines === undefined ? 0 : Math.max(0, index.lines - tailLines);
  if (firstLine >= index.lines) return;
  // With both, the tail is taken of the whole log first, as with a live one.
  const start = index.marks.findLast(({ line, at }) => line <= firstLine || (since !== undefined && at <= since));
  let line = start?.line ?? 0;
  let rest: Buffer = Buffer.alloc(0);
  const select = (found: LogLine[]): LogLine[] =>
    found.filter(({ at }) => line++ >= firstLine && (since === undefined || at > since));
  for await (const chunk of createReadStream(file, { start: start?.offset ?? 0, highWaterMark: 256 * 1024 })) {
    const bytes: Buffer = rest.byteLength > 0 ? Buffer.concat([rest, chunk]) : chunk;
    const found: LogLine[] = [];
    let from = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, from)) {
      found.push(lineOf(bytes.subarray(from, end + 1)));
      from = end + 1;
    }
    rest = bytes.subarray(from);
    const selected = select(found);
    if (selected.length > 0) yield selected;
  }
  if (rest.byteLength === 0) return;
  const last = select([lineOf(rest)]);
  if (last.length > 0) yield last;
}

const lineOf = (bytes: Buffer): LogLine => ({
  at: bytes.toString("latin1", 0, INSTANT_LENGTH),
  bytes: bytes.subarray(INSTANT_LENGTH + 1),
});

async function sync(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
