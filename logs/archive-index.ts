import { ZERO_INSTANT } from "../model/ports/log.ts";

/**
 * An archived log is one file: the lines as text, each `<instant> <bytes>`; then the index, one JSON object; then
 * its offset as sixteen digits, a space and `tygerlog1`, 26 bytes in all. It can be read with `less`, and its end is
 * found without reading all of it.
 */
export interface ArchiveIndex {
  /** Of the whole log. */
  lineCount: number;
  sizeBytes: number;
  /** A block about every {@link BLOCK_BYTES}, each starting with a line; the first one at 0. Empty if the log is. */
  blocks: readonly ArchiveBlock[];
}

export interface ArchiveBlock {
  offset: number;
  /** The number of lines before it. */
  linesBefore: number;
  /** The latest instant before it: lines need not be in order to the last digit. */
  latestBefore: string;
}

const BLOCK_BYTES = 1024 * 1024;
export const TRAILER_BYTES = 26;
const MAGIC = "tygerlog1";

/** The bytes after the lines. */
export function encodeIndex(index: ArchiveIndex): Buffer {
  return Buffer.from(`${JSON.stringify(index)}${String(index.sizeBytes).padStart(16, "0")} ${MAGIC}`);
}

/**
 * The offset of the index.
 * @throws Error when the file does not end like an archived log
 */
export function indexOffsetOf(trailer: Buffer): number {
  const [, offset] = /^([0-9]{16}) tygerlog1$/.exec(trailer.toString("latin1")) ?? [];
  if (offset === undefined) throw new Error("The file is not an archived log");
  return Number(offset);
}

export const decodeIndex = (bytes: Buffer): ArchiveIndex => JSON.parse(bytes.toString()) as ArchiveIndex;

/** The last block that begins at or before line `number`, counted from 0. */
export const blockOfLine = ({ blocks }: ArchiveIndex, number: number): ArchiveBlock | undefined =>
  lastWhere(blocks, (block) => block.linesBefore <= number);

/** The last block before which no line is later than `since`. */
export const blockOfInstant = ({ blocks }: ArchiveIndex, since: string): ArchiveBlock | undefined =>
  lastWhere(blocks, (block) => block.latestBefore <= since);

/** The last block for which `holds` is true; it is true for the first ones and false for all others. */
function lastWhere(blocks: readonly ArchiveBlock[], holds: (block: ArchiveBlock) => boolean): ArchiveBlock | undefined {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const block = blocks[middle];
    if (block && holds(block)) low = middle + 1;
    else high = middle;
  }
  return blocks[low - 1];
}

/** Collects the blocks while the lines are written. */
export class IndexBuilder {
  readonly #blocks: ArchiveBlock[] = [];
  #nextBlockAt = 0;
  #sizeBytes = 0;
  #lineCount = 0;
  #latest = ZERO_INSTANT;

  add(at: string, sizeBytes: number): void {
    if (this.#sizeBytes >= this.#nextBlockAt) {
      this.#blocks.push({ offset: this.#sizeBytes, linesBefore: this.#lineCount, latestBefore: this.#latest });
      this.#nextBlockAt = this.#sizeBytes + BLOCK_BYTES;
    }
    this.#sizeBytes += sizeBytes;
    this.#lineCount += 1;
    if (at > this.#latest) this.#latest = at;
  }

  build(): ArchiveIndex {
    return { lineCount: this.#lineCount, sizeBytes: this.#sizeBytes, blocks: this.#blocks };
  }
}
