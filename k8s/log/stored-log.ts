import { ZERO_INSTANT, type LogLine, type LogLines } from "../../model/ports/log.ts";
import type { LogPart, LogParts, PartQuery } from "../../model/ports/log-parts.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import { logInstant } from "../../model/time/instant.ts";
import { lostMark } from "./log-marks.ts";
import { LogOverlap } from "./log-overlap.ts";

/** The stream of a container in the parts of its run. */
export const streamOf = (replica: number, container: string): string => `job-${replica}-${container}`;

/** The parts that were stored of one container's log. */
export interface StoredLog {
  read(query: PartQuery): AsyncIterable<LogPart>;
}

export const storedLogOf = (parts: LogParts, run: RunIdentity, stream: string): StoredLog => ({
  read: (query) => parts.read(run, stream, query),
});

/** How far a container's log was read, in its stored parts and on its node. */
export class LogReading {
  position = new LogOverlap();
  /** The last part that was read. */
  part = 0;
  /** The position is the end of that part. */
  #isAtPart = true;

  /** Nothing was read yet. */
  get isFresh(): boolean {
    return this.#isAtPart && this.part === 0;
  }

  /** Lines from the node were read. */
  moveTo(position: LogOverlap): void {
    this.position = position;
    this.#isAtPart = false;
  }

  /** The new lines of the parts that were not read yet; a mark where even they lack some. */
  async *stored(log: StoredLog, query: Omit<PartQuery, "after">): LogLines {
    let overlap: LogOverlap | undefined;
    if (!this.#isAtPart) {
      overlap = this.position.copy();
      const sinceTime = overlap.resume();
      if (this.part === 0 && sinceTime !== undefined) query = { ...query, since: logInstant(sinceTime) };
    }
    for await (const part of log.read({ ...query, after: this.part })) {
      const { lines, mayLack } = overlap ? overlap.pass(part.lines) : { lines: part.lines, mayLack: false };
      const mark = mayLack ? [lostMark(this.position.lastAt)] : [];
      if (mark.length + lines.length > 0) yield [...mark, ...lines];
      this.part = part.number;
      if (overlap?.isSkipping) continue;
      overlap = undefined;
      this.position = LogOverlap.parse(part.position);
      this.#isAtPart = true;
    }
  }
}

/** The instant of the first line that has one. */
export const firstInstantOf = (lines: readonly LogLine[]): string | undefined =>
  lines.find(({ at }) => at !== ZERO_INSTANT)?.at;
