import { CodedError, errnoOf, messageOf } from "../model/errors.ts";
import { LOCAL } from "../model/buffer/location.ts";
import type { LogArchive, LogLine, LogLines, LogLocations } from "../model/ports/log.ts";
import type { ObjectStore } from "../model/ports/objects.ts";
import { identityInName, textOf, type RunIdentity } from "../model/run/identity.ts";
import { logInstant } from "../model/time/instant.ts";
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

/** Keys that share their start; a file system is slow to list many more, and a bucket lists no more at once. */
const RUNS_PER_GROUP = 1000;
const ENDING = ".log";
const WRITE_BYTES = 256 * 1024;
const LINE_FEED = 0x0a;

/** Keeps the log of each ended run in an object of its own, in the default location of the moment at which it ended. */
export function createLogArchive(locations: LogLocations): LogArchive {
  return {
    async write(run, lines) {
      try {
        await locations.objectsAt(locations.default).put(keyOf(run), contentOf(lines));
        return locations.default;
      } catch (err) {
        if (errnoOf(err) === undefined) throw err;
        const message = `The log of run '${run.id}' could not be archived: ${messageOf(err)}`;
        throw new CodedError("Unavailable", message, { cause: err });
      }
    },

    async read(run, { tailLines, since }) {
      const key = keyOf(run);
      const objects = locations.objectsAt(run.logLocation ?? LOCAL);
      const found = await objects.head(key);
      if (!found) return undefined;
      const bytes: Bytes = (from, to) => objects.get(key, { from, to });
      const after = since === undefined ? undefined : logInstant(since);
      return readLines({ bytes, sizeBytes: found.sizeBytes }, tailLines, after);
    },

    locations: () => locations.used(),

    async highestNumber(location) {
      const objects = locations.objectsAt(location);
      const groups = (await entriesBelow(objects, ""))
        .map((entry) => /^([0-9]{1,12})\/$/.exec(entry)?.[1])
        .filter((group) => group !== undefined);
      for (const group of groups.sort((a, b) => Number(b) - Number(a))) {
        const ids = (await entriesBelow(objects, `${group}/`)).map((key) => runIn(key)?.id ?? 0);
        // A writer that died can have left nothing but an empty folder.
        if (ids.length > 0) return Math.max(...ids);
      }
      return 0;
    },
  };
}

const keyOf = (run: RunIdentity): string => `${Math.floor(run.id / RUNS_PER_GROUP)}/${textOf(run)}${ENDING}`;
const runIn = (key: string): RunIdentity | undefined =>
  identityInName(key.slice(key.indexOf("/") + 1).split(ENDING, 1)[0] ?? "");

async function entriesBelow(objects: ObjectStore, prefix: string): Promise<string[]> {
  const all: string[] = [];
  for (let after: string | undefined; ;) {
    const page = await objects.list(prefix, { limit: RUNS_PER_GROUP, after });
    all.push(...page.entries);
    if (page.next === undefined) return all;
    after = page.next;
  }
}

/** The lines as they are archived, and then their index, which tells readers that they are all there are. */
async function* contentOf(lines: LogLines): AsyncGenerator<Uint8Array, void> {
  const index = new IndexBuilder();
  let pending: Buffer[] = [];
  let pendingBytes = 0;
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
      if (pendingBytes < WRITE_BYTES) continue;
      yield Buffer.concat(pending);
      pending = [];
      pendingBytes = 0;
    }
  }
  if (last) append(last);
  yield Buffer.concat([...pending, encodeIndex(index.build())]);
}

type Bytes = (from: number, to: number) => AsyncIterable<Uint8Array>;

/** An object that is being read. */
interface Archived {
  bytes: Bytes;
  sizeBytes: number;
}

async function* readLines(archived: Archived, tailLines: number | undefined, since: string | undefined): LogLines {
  yield* linesOf(archived.bytes, await readIndex(archived), tailLines, since);
}

async function* linesOf(
  bytes: Bytes,
  index: ArchiveIndex,
  tailLines: number | undefined,
  since: string | undefined,
): LogLines {
  if (tailLines === 0) return;
  if (since === undefined) {
    const first = tailLines === undefined ? 0 : Math.max(0, index.lineCount - tailLines);
    const block = blockOfLine(index, first);
    if (block) yield* without(first - block.linesBefore, linesFrom(bytes(block.offset, index.sizeBytes)));
    return;
  }
  const block = blockOfInstant(index, since);
  if (!block) return;
  const later = (): LogLines => laterThan(since, linesFrom(bytes(block.offset, index.sizeBytes)));
  if (tailLines === undefined) {
    yield* later();
    return;
  }
  let count = 0;
  for await (const batch of later()) count += batch.length;
  yield* without(count - tailLines, later());
}

async function readIndex({ bytes, sizeBytes }: Archived): Promise<ArchiveIndex> {
  const trailer = await allOf(bytes(Math.max(0, sizeBytes - TRAILER_BYTES), sizeBytes));
  const offset = indexOffsetOf(trailer);
  return decodeIndex(await allOf(bytes(offset, sizeBytes - TRAILER_BYTES)));
}

async function allOf(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of bytes) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** The lines in bytes that start with a line, a batch for each piece. */
async function* linesFrom(pieces: AsyncIterable<Uint8Array>): LogLines {
  let begun: Buffer[] = [];
  for await (const bytes of pieces) {
    const part = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
