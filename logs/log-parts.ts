import { randomBytes } from "node:crypto";
import type { LogLine, LogLocations } from "../model/ports/log.ts";
import type { CollectedLines, LogPart, LogParts, PartEnd } from "../model/ports/log-parts.ts";
import type { ObjectStore } from "../model/ports/objects.ts";
import { textOf, type RunIdentity } from "../model/run/identity.ts";
import { decodeLine, encodeLine, withLineFeed } from "./line.ts";

/** Beside the archived logs, whose first folder is a number. */
const FOLDER = "live";
const RUNS_PER_GROUP = 1000;
const PAGE = 1000;
/** A header is shorter. */
const HEADER_BYTES = 4096;
const LINE_FEED = 0x0a;

/** The first line of a part; its lines follow as in an archived log. */
interface Header extends Omit<PartEnd, "number"> {
  lineCount: number;
  /** A word of the writer's own: whose part was stored? */
  writer: string;
}

/** Keeps each part in an object of its own, in the default location of its moment. */
export function createLogParts(locations: LogLocations): LogParts {
  const used = async (): Promise<ObjectStore[]> => (await locations.used()).map((name) => locations.objectsAt(name));

  /** Where the parts of a stream are, in their order. */
  async function partsOf(run: RunIdentity, stream: string): Promise<StoredPart[]> {
    const parts = new Map<number, StoredPart>();
    for (const objects of await used()) {
      for (const key of await entriesBelow(objects, `${folderOf(run)}${stream}/`)) {
        const number = numberIn(key);
        if (number !== undefined && !parts.has(number)) parts.set(number, { number, key, objects });
      }
    }
    return [...parts.values()].sort((a, b) => a.number - b.number);
  }

  return {
    collect: () => new Lines(),

    async last(run, stream) {
      const part = (await partsOf(run, stream)).at(-1);
      if (!part) return undefined;
      const { position, latestAt } = await headerOf(part);
      return { number: part.number, position, latestAt };
    },

    async add(run, stream, { number, position, latestAt }, lines) {
      const objects = locations.objectsAt(locations.default);
      const key = keyOf(run, stream, number);
      const { pieces, lineCount } = lines as Lines;
      const writer = randomBytes(8).toString("hex");
      const header: Header = { lineCount, latestAt, position, writer };
      await objects.put(key, contentOf(header, pieces));
      return (await headerOf({ number, key, objects })).writer === writer;
    },

    async *read(run, stream, { after = 0, since, tailLines }) {
      const all = (await partsOf(run, stream)).filter(({ number }) => number > after);
      let from = 0;
      if (since !== undefined) from = await firstLaterThan(since, all);
      if (tailLines !== undefined) from = Math.max(from, await firstOfTail(tailLines, all));
      // The last one in any case: it has the position after all of them.
      for (const part of all.slice(Math.min(from, Math.max(0, all.length - 1)))) yield await readPart(part);
    },

    async remove(run) {
      for (const objects of await used()) {
        for (const stream of await entriesBelow(objects, folderOf(run))) {
          for (const key of await entriesBelow(objects, stream)) await objects.remove(key);
        }
      }
    },
  };
}

interface StoredPart {
  number: number;
  key: string;
  objects: ObjectStore;
}

const folderOf = (run: RunIdentity): string => `${FOLDER}/${Math.floor(run.id / RUNS_PER_GROUP)}/${textOf(run)}/`;
const keyOf = (run: RunIdentity, stream: string, number: number): string =>
  `${folderOf(run)}${stream}/${String(number).padStart(8, "0")}.part`;
const numberIn = (key: string): number | undefined => {
  const [, digits] = /\/([0-9]{8})\.part$/.exec(key) ?? [];
  return digits === undefined ? undefined : Number(digits);
};

async function entriesBelow(objects: ObjectStore, prefix: string): Promise<string[]> {
  const all: string[] = [];
  for (let after: string | undefined; ;) {
    const page = await objects.list(prefix, { limit: PAGE, after });
    all.push(...page.entries);
    if (page.next === undefined) return all;
    after = page.next;
  }
}

async function* contentOf(header: Header, pieces: readonly Buffer[]): AsyncGenerator<Uint8Array, void> {
  yield Buffer.from(`${JSON.stringify(header)}\n`);
  yield* pieces;
}

async function bytesOf({ key, objects }: StoredPart, most = Infinity): Promise<Buffer> {
  const found = await objects.head(key);
  if (!found) throw new Error(`The part '${key}' of a log was removed`);
  const pieces: Uint8Array[] = [];
  for await (const piece of objects.get(key, { from: 0, to: Math.min(most, found.sizeBytes) })) pieces.push(piece);
  return Buffer.concat(pieces);
}

const headerIn = (bytes: Buffer): Header => JSON.parse(bytes.toString("utf8", 0, bytes.indexOf(LINE_FEED))) as Header;

const headerOf = async (part: StoredPart): Promise<Header> => headerIn(await bytesOf(part, HEADER_BYTES));

async function readPart(part: StoredPart): Promise<LogPart> {
  const bytes = await bytesOf(part);
  const { position, latestAt } = headerIn(bytes);
  const lines: LogLine[] = [];
  let start = bytes.indexOf(LINE_FEED) + 1;
  for (let end = bytes.indexOf(LINE_FEED, start); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
    lines.push(decodeLine(bytes.subarray(start, end + 1)));
    start = end + 1;
  }
  return { number: part.number, position, latestAt, lines };
}

/** The index of the first part with a line later than `since`. */
async function firstLaterThan(since: string, parts: readonly StoredPart[]): Promise<number> {
  let low = 0;
  let high = parts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const part = parts[middle];
    if (part && (await headerOf(part)).latestAt <= since) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function firstOfTail(tailLines: number, parts: readonly StoredPart[]): Promise<number> {
  let at = parts.length;
  for (let count = 0; at > 0 && count < tailLines; at--) {
    const part = parts[at - 1];
    if (part) count += (await headerOf(part)).lineCount;
  }
  return at;
}

class Lines implements CollectedLines {
  readonly pieces: Buffer[] = [];
  sizeBytes = 0;
  lineCount = 0;

  add(lines: readonly LogLine[]): void {
    if (lines.length === 0) return;
    const piece = Buffer.concat(lines.map((line) => encodeLine(withLineFeed(line))));
    this.pieces.push(piece);
    this.sizeBytes += piece.length;
    this.lineCount += lines.length;
  }
}
