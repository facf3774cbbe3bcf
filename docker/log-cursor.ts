import type { LogEntry } from "./log-entries.ts";

/** How far a log has been read, so that a second stream can go on where the first one stopped. */
export class LogCursor {
  #at: string | undefined;
  /** Entries of the instant `#at` that have passed: engines give equal instants to neighbours. */
  #passed = 0;
  #toSkip = 0;

  /** Where the engine is to start the next stream; that repeats the last instant, whose entries are skipped. */
  resume(): { since?: string } {
    this.#toSkip = this.#passed;
    return this.#at === undefined ? {} : { since: this.#at };
  }

  /** Moves on over these entries and gives those that had not passed before. */
  pass(entries: readonly LogEntry[]): readonly LogEntry[] {
    const fresh = this.#toSkip === 0 ? entries : entries.filter(({ at }) => !this.#skips(at));
    for (const { at } of fresh) {
      if (this.#at === undefined || at > this.#at) {
        this.#at = at;
        this.#passed = 1;
      } else if (at === this.#at) this.#passed += 1;
    }
    return fresh;
  }

  /** An entry of the instant `at` may have namesakes that the stream which brought it left out. */
  isAt(at: string | undefined): boolean {
    return at === this.#at;
  }

  #skips(at: string): boolean {
    if (this.#toSkip === 0 || at !== this.#at) return false;
    this.#toSkip -= 1;
    return true;
  }
}
