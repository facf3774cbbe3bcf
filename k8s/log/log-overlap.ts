import { ZERO_INSTANT, type LogLine } from "../../model/ports/log.ts";

/** Output and error can have overtaken each other by this much; a log is read again from there. */
const OVERLAP_MS = 1000;
const MS_LENGTH = "2026-01-01T00:00:00.000".length;

/** New lines of a log that is read in several parts. */
export interface NewLines {
  lines: readonly LogLine[];
  /** The last line of the part before did not appear again: the node no longer had it, nor perhaps others after it. */
  mayLack: boolean;
}

/**
 * How far a log was read, so that another request can continue. Requests begin with a second, not with a line, so the next one
 * begins a little earlier. A log keeps its order: lines are new once the last one has appeared again.
 */
export class LogOverlap {
  #lastKey: string | undefined;
  /** How often lines like the last one were the last ones. */
  #lastCount = 0;
  #lastAt = ZERO_INSTANT;
  /** The latest instant of all lines, which is not always that of the last one. */
  #latestAt = ZERO_INSTANT;
  /** How often the last line has to appear before there are new ones. */
  #toSkip = 0;

  /** The position that {@link toText} wrote. @throws Error when it is another text */
  static parse(text: string): LogOverlap {
    const state: unknown = JSON.parse(text);
    const { lastKey, lastCount, lastAt, latestAt } = Object(state) as Record<string, unknown>;
    const overlap = new LogOverlap();
    if (lastKey === undefined) return overlap;
    if (
      typeof lastKey !== "string" ||
      typeof lastCount !== "number" ||
      typeof lastAt !== "string" ||
      typeof latestAt !== "string"
    ) {
      throw new Error(`'${text}' is not a position in a log`);
    }
    overlap.#lastKey = lastKey;
    overlap.#lastCount = lastCount;
    overlap.#lastAt = lastAt;
    overlap.#latestAt = latestAt;
    return overlap;
  }

  /** Stored with the parts of a log, also for later versions. */
  toText(): string {
    return JSON.stringify({
      lastKey: this.#lastKey,
      lastCount: this.#lastCount,
      lastAt: this.#lastAt,
      latestAt: this.#latestAt,
    });
  }

  /** The last line has not appeared again yet. */
  get isSkipping(): boolean {
    return this.#toSkip > 0;
  }

  /** The instant of the last line; that of none before the first. */
  get lastAt(): string {
    return this.#lastAt;
  }

  get latestAt(): string {
    return this.#latestAt;
  }

  /** The same position, in the same request. */
  copy(): LogOverlap {
    const copy = LogOverlap.parse(this.toText());
    copy.#toSkip = this.#toSkip;
    return copy;
  }

  /** Where the next part begins; undefined for the start of the log. */
  resume(): string | undefined {
    if (this.#lastKey === undefined) return undefined;
    this.#toSkip = this.#lastCount;
    const sinceMs = Date.parse(`${this.#lastAt.slice(0, MS_LENGTH)}Z`) - OVERLAP_MS;
    return `${new Date(sinceMs).toISOString().slice(0, 19)}Z`;
  }

  /** Advances over these lines and returns those that are new. */
  pass(batch: readonly LogLine[]): NewLines {
    const from = this.#firstNew(batch);
    const mayLack = this.#toSkip > 0 && from < batch.length;
    if (mayLack) this.#toSkip = 0;
    const lines = batch.slice(from);
    for (const line of lines) this.#advance(line);
    return { lines, mayLack };
  }

  #firstNew(batch: readonly LogLine[]): number {
    let index = 0;
    for (; index < batch.length && this.#toSkip > 0; index++) {
      const line = batch[index];
      if (!line) break;
      if (keyOf(line) === this.#lastKey) this.#toSkip -= 1;
      // Later than all that has passed: the last line is not there any more.
      else if (line.at > this.#latestAt) break;
    }
    return index;
  }

  #advance(line: LogLine): void {
    // Texts of the node itself are not part of the log.
    if (line.at === ZERO_INSTANT) return;
    const key = keyOf(line);
    this.#lastCount = key === this.#lastKey ? this.#lastCount + 1 : 1;
    this.#lastKey = key;
    this.#lastAt = line.at;
    if (line.at > this.#latestAt) this.#latestAt = line.at;
  }
}

const keyOf = ({ at, bytes }: LogLine): string => `${at} ${bytes.length}`;
