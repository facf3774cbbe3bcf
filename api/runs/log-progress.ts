import type { LogLine, LogLines, LogQuery } from "../../model/ports/log.ts";

/** Lines can arrive a little out of order while a log is followed; this many instants are remembered to tell them apart. */
const REMEMBERED = 4096;

/** The part of a log that a client has, so that another source of the same log can continue from there. */
export interface LogProgress {
  /** The lines that the client does not have yet, in the order of the source. */
  pass(lines: LogLines): AsyncGenerator<readonly LogLine[]>;
  /** The query for the next source. */
  query(): Pick<LogQuery, "tailLines" | "since">;
  /** How many lines were given. */
  count(): number;
}

export function createLogProgress({ tailLines, since }: LogQuery): LogProgress {
  /** How many lines of each instant were given; the oldest first. */
  const recent = new Map<string, number>();
  let count = 0;
  /** Lines up to this instant were given, as far as they were asked for. */
  let floor = since ?? "";
  /** With `tailLines`: those before the first line given were not asked for. */
  let start = "";

  const remember = ({ at }: LogLine): void => {
    if (count === 0 && tailLines !== undefined) start = at;
    count += 1;
    recent.set(at, (recent.get(at) ?? 0) + 1);
    if (recent.size < 2 * REMEMBERED) return;
    for (const old of [...recent.keys()].slice(0, REMEMBERED)) {
      recent.delete(old);
      if (old > floor) floor = old;
    }
  };

  return {
    async *pass(lines) {
      const given = new Map(recent);
      const [from, after] = [start, floor];
      const isNew = ({ at }: LogLine): boolean => {
        const times = given.get(at) ?? 0;
        if (times > 0) given.set(at, times - 1);
        return times === 0 && at >= from && at > after;
      };
      for await (const batch of lines) {
        const fresh = count === 0 ? batch : batch.filter(isNew);
        if (fresh.length === 0) continue;
        for (const line of fresh) remember(line);
        yield fresh;
      }
    },
    query: () => ({
      ...(tailLines !== undefined && count === 0 && { tailLines }),
      ...(floor !== "" && { since: floor }),
    }),
    count: () => count,
  };
}
