import { ZERO_INSTANT } from "../../model/ports/log.ts";
import type { LogEntry } from "./log-entries.ts";

/** Output and error reach the log of the engine separately, and can overtake each other by this much on a busy machine. */
export const DISORDER_MS = 1000;
/** This many equal entries in a row are taken to be the same ones when they are seen again. */
const TRACE_ENTRIES = 32;
/** An instant, cut to milliseconds. */
const MS_LENGTH = "2026-01-01T00:00:00.000".length;

/**
 * How far a log has been read, so that a second stream can continue where the first one stopped. A log keeps its order,
 * but its instants are not quite in order, so the cursor counts entries instead of comparing instants.
 */
export class LogCursor {
  /** Entries that passed, by the millisecond of their instant; older ones than {@link DISORDER_MS} are forgotten. */
  readonly #passed = new Map<string, number>();
  #latestMs = "";
  #since = "";
  #trace: LogEntry[] = [];
  #toSkip = 0;

  /** Where the engine should start the next stream; repeated entries are then skipped. */
  resume(): { since?: string } {
    this.#toSkip = [...this.#passed.values()].reduce((sum, count) => sum + count, 0);
    return this.#since === "" ? {} : { since: `${this.#since}000000Z` };
  }

  /** Advances over these entries and returns those that are new. */
  pass(entries: readonly LogEntry[]): readonly LogEntry[] {
    let fresh = entries;
    if (this.#toSkip > 0) {
      fresh = entries.slice(this.#toSkip);
      this.#toSkip -= entries.length - fresh.length;
    }
    for (const { at } of fresh) this.#count(at.slice(0, MS_LENGTH));
    this.#trace = [...this.#trace, ...fresh.slice(-TRACE_ENTRIES)].slice(-TRACE_ENTRIES);
    return fresh;
  }

  /** Whether {@link resume} can be used by a reader whose first entry was of the instant `at` and not the log's first. */
  canResumeFrom(at: string): boolean {
    return at.slice(0, MS_LENGTH) < this.#since;
  }

  /** The new ones of the last entries of the log; undefined when these entries do not show which are new. */
  after(last: readonly LogEntry[]): readonly LogEntry[] | undefined {
    const trace = this.#trace.map(keyOf);
    // The pieces of one long line look alike.
    if (new Set(trace).size < 2) return undefined;
    const keys = last.map(keyOf);
    for (let end = keys.length; end >= trace.length; end--) {
      if (trace.every((key, index) => key === keys[end - trace.length + index])) return last.slice(end);
    }
    return undefined;
  }

  #count(ms: string): void {
    if (ms > this.#latestMs && !ZERO_INSTANT.startsWith(ms)) {
      this.#latestMs = ms;
      this.#since = new Date(Date.parse(`${ms}Z`) - DISORDER_MS).toISOString().slice(0, MS_LENGTH);
      for (const older of this.#passed.keys()) if (older < this.#since) this.#passed.delete(older);
    }
    if (ms >= this.#since) this.#passed.set(ms, (this.#passed.get(ms) ?? 0) + 1);
  }
}

const keyOf = ({ stream, at, text }: LogEntry): string => `${stream} ${at} ${text.length}`;
