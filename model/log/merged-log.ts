import { ZERO_INSTANT, type LogLine, type LogLines } from "../ports/log.ts";

/** Several logs, each in time order, as one: the log of a run with replicas. */

const LINE_FEED = 0x0a;
const LINE_FEED_BYTES = Buffer.from("\n");

/** All lines in time order, those of one instant in the order of the logs. Holds a batch of each log. */
export async function* mergedByTime(logs: readonly LogLines[]): LogLines {
  const heads = logs.map((log): Head => ({ rest: log[Symbol.asyncIterator](), batch: [], next: 0, key: ZERO_INSTANT }));
  try {
    const hasLines = await Promise.all(heads.map(refill));
    yield* closing(merge(heads.filter((_head, index) => hasLines[index])));
  } finally {
    await Promise.allSettled(heads.map(async ({ rest }) => rest.return?.()));
  }
}

/** The lines of all logs as they arrive, until each has ended. */
export async function* interleaved(logs: readonly LogLines[]): LogLines {
  const open = new Set(logs.map((log) => log[Symbol.asyncIterator]()));
  const arrived: Arrival[] = [];
  let wake = Promise.withResolvers<void>();
  // Not a race of all: each race would leave something behind at the logs that are silent.
  const read = async (rest: Rest): Promise<void> => {
    try {
      arrived.push({ rest, result: await rest.next() });
    } catch (err) {
      arrived.push({ rest, err });
    }
    wake.resolve();
  };
  async function* lines(): LogLines {
    for (const rest of open) void read(rest);
    while (open.size > 0) {
      await wake.promise;
      wake = Promise.withResolvers();
      for (const arrival of arrived.splice(0)) {
        if ("err" in arrival) throw arrival.err;
        const { rest, result } = arrival;
        if (result.done) {
          open.delete(rest);
        } else {
          yield result.value;
          void read(rest);
        }
      }
    }
  }
  try {
    yield* closing(lines());
  } finally {
    // Not awaited: one that waits for its next line returns only when its reader's signal is aborted.
    for (const rest of open) void rest.return?.().catch(() => undefined);
  }
}

/** The last `count` lines. */
export async function lastOf(count: number, lines: LogLines): Promise<readonly LogLine[]> {
  let last: readonly LogLine[] = [];
  for await (const batch of lines) last = count === 0 ? [] : [...last, ...batch].slice(-count);
  return last;
}

type Rest = AsyncIterator<readonly LogLine[]>;
type Arrival = { rest: Rest; result: IteratorResult<readonly LogLine[]> } | { rest: Rest; err: unknown };

interface Head {
  rest: Rest;
  batch: readonly LogLine[];
  next: number;
  /** The instant of the next line; a line without one belongs to the line before it. */
  key: string;
}

/** False when the log has ended. */
async function refill(head: Head): Promise<boolean> {
  while (head.next >= head.batch.length) {
    const { done, value } = await head.rest.next();
    if (done) return false;
    head.batch = value;
    head.next = 0;
  }
  head.key = keyOf(head);
  return true;
}

function keyOf({ batch, next, key }: Head): string {
  const at = batch[next]?.at ?? ZERO_INSTANT;
  return at === ZERO_INSTANT ? key : at;
}

async function* merge(heads: Head[]): LogLines {
  const open = [...heads];
  while (open.length > 0) {
    const at = open.reduce((first, head, index) => (head.key < (open[first]?.key ?? "") ? index : first), 0);
    const [chosen] = open.slice(at, at + 1);
    if (!chosen) return;
    // It gives lines until another log has one before; on an equal instant, the earlier log goes first.
    const before = earliest(open.slice(0, at));
    const after = earliest(open.slice(at + 1));
    const lines: LogLine[] = [];
    do {
      lines.push(...chosen.batch.slice(chosen.next, chosen.next + 1));
      chosen.next += 1;
      chosen.key = keyOf(chosen);
    } while (chosen.next < chosen.batch.length && chosen.key < before && chosen.key <= after);
    yield lines;
    if (!(await refill(chosen))) open.splice(at, 1);
  }
}

/** Later than every instant: nothing is before the lines of an only log. */
const END_OF_TIME = "~";

const earliest = (heads: readonly Head[]): string =>
  heads.reduce((first, { key }) => (key < first ? key : first), END_OF_TIME);

/** Ends a line that has no line feed where another follows: only the very last one keeps none. */
async function* closing(lines: LogLines): LogLines {
  let unfinished: LogLine | undefined;
  for await (const batch of lines) {
    if (batch.length === 0) continue;
    const all = unfinished ? [unfinished, ...batch] : batch;
    unfinished = all.at(-1)?.bytes.at(-1) === LINE_FEED ? undefined : all.at(-1);
    const finished = unfinished ? all.slice(0, -1) : all;
    if (finished.length > 0) yield finished.map(finish);
  }
  if (unfinished) yield [unfinished];
}

const finish = (line: LogLine): LogLine =>
  line.bytes.at(-1) === LINE_FEED ? line : { ...line, bytes: Buffer.concat([line.bytes, LINE_FEED_BYTES]) };
