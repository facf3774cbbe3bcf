import { describe, expect, test } from "vitest";
import { LogCursor } from "../../../docker/log/log-cursor.ts";
import { readEntries, type LogEntry } from "../../../docker/log/log-entries.ts";
import {
  CUT_LINE_MARK,
  inTimeOrder,
  LineJoiner,
  MAX_LINE_BYTES,
  sortByTime,
  WINDOW_BYTES,
} from "../../../docker/log/log-lines.ts";
import { readTail } from "../../../docker/log/log-tail.ts";
import { ZERO_INSTANT, type LogLine, type LogLines } from "../../../model/ports/log.ts";

const at = (nanos: number): string => `2026-01-01T00:00:00.${String(nanos).padStart(9, "0")}Z`;
const entry = (nanos: number, text: string, stream = 1): LogEntry => ({
  stream,
  at: at(nanos),
  text: Buffer.from(text),
});
const textOf = (lines: readonly LogLine[]): string[] => lines.map(({ bytes }) => Buffer.from(bytes).toString());

function frame(stream: number, payload: string | Buffer): Buffer {
  const body = Buffer.from(payload);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}
async function entriesOf(chunks: Buffer[]): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  async function* body(): AsyncGenerator<Buffer> {
    yield* chunks;
  }
  for await (const batch of readEntries(body())) entries.push(...batch);
  return entries;
}
async function linesOf(lines: LogLines): Promise<LogLine[]> {
  const all: LogLine[] = [];
  for await (const batch of lines) all.push(...batch);
  return all;
}

describe("the frames of the engine", () => {
  const stream = Buffer.concat([frame(1, `${at(1)} one\n`), frame(2, `${at(2)} \xff\n`), frame(1, `${at(3)} `)]);

  test.each([1, 2, 7, 8, 9, 38, 1000])("are the same however the bytes arrive, in chunks of %d", async (size) => {
    const chunks = Array.from({ length: Math.ceil(stream.length / size) }, (_, i) =>
      stream.subarray(i * size, (i + 1) * size),
    );
    expect(await entriesOf(chunks)).toEqual([entry(1, "one\n"), entry(2, "\xff\n", 2), entry(3, "")]);
  });

  test("may come by the thousand in one chunk", async () => {
    const one = frame(1, `${at(1)} x`);
    expect((await entriesOf([Buffer.concat(Array.from({ length: 20_000 }, () => one))])).length).toBe(20_000);
  });

  test.each([
    ["2026-01-01T02:00:00.5+02:00 text\n", { at: at(500_000_000), text: "text\n" }],
    ["error from daemon in stream\n", { at: ZERO_INSTANT, text: "error from daemon in stream\n" }],
    ["", { at: ZERO_INSTANT, text: "" }],
  ])("take their instant from %j", async (payload, expected) => {
    const [only] = await entriesOf([frame(1, payload)]);
    expect({ at: only?.at, text: only?.text.toString() }).toEqual(expected);
  });
});

describe("the lines", () => {
  test("join their pieces, output and error apart, and keep the instant of the first piece", () => {
    const joiner = new LineJoiner("");
    const lines = joiner.add([entry(1, "a"), entry(2, "E", 2), entry(3, "b\n"), entry(4, "F\n", 2), entry(5, "c\n")]);
    expect(lines.map((line) => [line.at, ...textOf([line])])).toEqual([
      [at(1), "ab\n"],
      [at(2), "EF\n"],
      [at(5), "c\n"],
    ]);
  });

  test("have the prefix once each", () => {
    const joiner = new LineJoiner("[main] ");
    expect(textOf(joiner.add([entry(1, "a"), entry(1, "b\n"), entry(2, "\n")]))).toEqual(["[main] ab\n", "[main] \n"]);
  });

  test("only the last one stays without a line feed", () => {
    const joiner = new LineJoiner("");
    joiner.add([entry(2, "out"), entry(1, "err", 2)]);
    expect(textOf(joiner.end(false))).toEqual(["err\n", "out"]);
    joiner.add([entry(3, "x")]);
    expect(textOf(joiner.end(true))).toEqual(["x\n"]);
    expect(joiner.end(false)).toEqual([]);
  });

  describe("of 64 MiB", () => {
    const half = { ...entry(1, ""), text: Buffer.alloc(MAX_LINE_BYTES / 2, "x") };
    const mark = CUT_LINE_MARK.toString();
    const shown = (lines: readonly LogLine[]): (string | number)[] =>
      lines.map(({ bytes }) => (bytes.length > 1000 ? bytes.length : Buffer.from(bytes).toString()));

    test("are whole, with the line feed that the job wrote and no other", () => {
      expect(MAX_LINE_BYTES).toBe(64 * 1024 * 1024);
      const joiner = new LineJoiner("[main] ");
      expect(joiner.add([half, half])).toEqual([]);
      const [line, ...more] = joiner.add([entry(2, "\n")]);
      expect(more).toEqual([]);
      expect(line?.bytes.length).toBe("[main] ".length + MAX_LINE_BYTES + 1);
    });

    test("and one byte are cut, with a line that reports it, and continue in the next line", () => {
      const joiner = new LineJoiner("");
      const lines = joiner.add([half, half, entry(2, "y"), entry(3, "z\n"), entry(4, "next\n")]);
      expect(shown(lines)).toEqual([MAX_LINE_BYTES + 1, mark, "yz\n", "next\n"]);
      expect(lines.map(({ at }) => at)).toEqual([at(1), at(1), at(2), at(4)]);
    });

    test("are cut at that very byte, in the middle of a piece", () => {
      const joiner = new LineJoiner("");
      const lines = joiner.add([half, { ...half, text: Buffer.alloc(MAX_LINE_BYTES / 2 + 10, "x") }, entry(2, "y\n")]);
      expect(shown(lines)).toEqual([MAX_LINE_BYTES + 1, mark, `${"x".repeat(10)}y\n`]);
    });

    test("that end the log without a line feed get none", () => {
      const joiner = new LineJoiner("");
      expect(joiner.add([half, half])).toEqual([]);
      expect(joiner.end(false).map(({ bytes }) => bytes.length)).toEqual([MAX_LINE_BYTES]);
    });

    test("are not held back to be put in order: memory stays bounded", async () => {
      const bytes = Buffer.alloc(WINDOW_BYTES / 4);
      let given = 0;
      let taken = 0;
      let most = 0;
      async function* batches(): LogLines {
        for (let i = 0; i < 50; i++) {
          given++;
          yield [{ at: at(i), bytes }];
          most = Math.max(most, given - taken);
        }
      }
      for await (const batch of inTimeOrder(batches())) taken += batch.length;
      expect(taken).toBe(50);
      expect(most).toBeLessThanOrEqual(5);
    });
  });

  test("are put in time order, and one without an instant stays where it was", () => {
    const lines = [3, 1, 2].map((nanos) => ({ at: at(nanos), bytes: Buffer.from(`${nanos}\n`) }));
    const odd = { at: ZERO_INSTANT, bytes: Buffer.from("odd\n") };
    expect(textOf(sortByTime([...lines, odd]))).toEqual(["1\n", "2\n", "odd\n", "3\n"]);
  });

  test("get a line feed when the order puts another one behind them", () => {
    const open = { at: at(1), bytes: Buffer.from("open") };
    expect(textOf(sortByTime([{ at: at(2), bytes: Buffer.from("later\n") }, open]))).toEqual(["open\n", "later\n"]);
  });

  test("are put in time order across batches", async () => {
    async function* batches(): LogLines {
      for (let i = 0; i < 3000; i++) yield [{ at: at(i % 2 === 0 ? i + 3 : i), bytes: Buffer.from("x") }];
    }
    const lines = await linesOf(inTimeOrder(batches()));
    expect(lines.length).toBe(3000);
    expect(lines.every(({ at }, i) => i === 0 || (lines[i - 1]?.at ?? "") <= at)).toBe(true);
  });
});

describe("a second stream", () => {
  const ms = 1_000_000;
  // Several of one instant, neighbors out of order, and a time span that is forgotten on the way.
  const all = [
    entry(1, "a\n"),
    ...[2, 2, 2].map((nanos) => entry(nanos, "same\n")),
    entry(700 * ms, "x\n"),
    entry(695 * ms, "y\n", 2),
    ...Array.from({ length: 60 }, (_, i) => ({
      ...entry(i * ms, `${i}\n`, (i % 2) + 1),
      at: at(i * ms).replace(":00.", ":02."),
    })),
  ];

  test("continues where the first one stopped, whatever the instants", () => {
    for (let cut = 0; cut <= all.length; cut++) {
      const cursor = new LogCursor();
      const first = cursor.pass(all.slice(0, cut));
      const { since } = cursor.resume();
      const again = all.filter((one) => since === undefined || one.at >= since);
      const second = [...cursor.pass(again.slice(0, 2)), ...cursor.pass(again.slice(2))];
      expect([...first, ...second]).toEqual(all);
    }
  });

  test("of the last entries only gives those that had not passed", () => {
    for (let cut = 2; cut <= all.length; cut++) {
      const cursor = new LogCursor();
      cursor.pass(all.slice(0, cut));
      expect(cursor.after(all.slice(-40))).toEqual(cut < all.length - 40 + 32 ? undefined : all.slice(cut));
    }
  });

  test("of the pieces of a long line cannot tell which have passed", () => {
    const pieces = Array.from({ length: 100 }, () => entry(1, "x"));
    const cursor = new LogCursor();
    cursor.pass(pieces.slice(0, 60));
    expect(cursor.after(pieces)).toBeUndefined();
  });
});

describe("the tail", () => {
  /** A log of lines in pieces, from which the engine gives the last entries. */
  async function tail(entries: LogEntry[], count: number, more: { since?: string; follow?: boolean } = {}) {
    const asked: (number | undefined)[] = [];
    async function* read(last?: number): AsyncGenerator<LogEntry[]> {
      asked.push(last);
      const given = last === undefined ? entries : entries.slice(-last);
      for (let i = 0; i < given.length; i += 3) yield given.slice(i, i + 3);
    }
    const result = await readTail({ count, since: more.since, prefix: "", read }, more.follow ?? false);
    return { lines: textOf(await linesOf(result.lines)), asked, position: result.position };
  }
  const short = Array.from({ length: 100 }, (_, i) => entry(i, `${i}\n`));
  const long = Array.from({ length: 50 }, (_, i) => [
    ...Array.from({ length: 40 }, () => entry(i, "x", (i % 2) + 1)),
    entry(i, `${i}\n`, (i % 2) + 1),
  ]).flat();

  test("reads no more than it must where lines are short", async () => {
    const { lines, asked } = await tail(short, 3);
    expect(lines).toEqual(["97\n", "98\n", "99\n"]);
    expect(asked.length).toBe(1);
  });

  test("counts whole lines where they are long", async () => {
    const { lines } = await tail(long, 3);
    expect(lines).toEqual([47, 48, 49].map((i) => `${"x".repeat(40)}${i}\n`));
  });

  test.each([0, 1, 99, 100, 101, 1000])("of %d lines is what the whole log ends with", async (count) => {
    const { lines } = await tail(short, count);
    expect(lines).toEqual(count === 0 ? [] : short.slice(-count).map(({ text }) => text.toString()));
  });

  test("counts only lines that are later than asked for", async () => {
    expect((await tail(short, 5, { since: at(97) })).lines).toEqual(["98\n", "99\n"]);
    expect((await tail(short, 1, { since: at(50) })).lines).toEqual(["99\n"]);
    expect((await tail(short, 5, { since: at(99) })).lines).toEqual([]);
  });

  test("counts a last line without line feed, unless it is left for a reader that follows", async () => {
    const open = [...short, entry(100, "open")];
    expect((await tail(open, 2)).lines).toEqual(["99\n", "open"]);
    const { lines, position } = await tail(open, 2, { follow: true });
    expect(lines).toEqual(["98\n", "99\n"]);
    const { since } = position.cursor.resume();
    const again = [...open, entry(101, " now closed\n")].filter((one) => one.at >= (since ?? ""));
    expect(textOf(position.joiner.add(position.cursor.pass(again)))).toEqual(["open now closed\n"]);
  });

  test("is not deceived by a long line whose last piece comes after lines of the other stream", async () => {
    const before = Array.from({ length: 500 }, (_, i) => entry(i, `${i}\n`));
    const pieces = Array.from({ length: 30 }, () => entry(2000, "x"));
    const others = Array.from({ length: 60 }, (_, i) => entry(1000 + i, `e${i}\n`, 2));
    const { lines } = await tail([...before, ...pieces, ...others, entry(2000, "end\n")], 1);
    expect(lines).toEqual([`${"x".repeat(30)}end\n`]);
  });

  test("of lines that memory should not hold is right too", async () => {
    const big = Array.from({ length: 5 }, (_, i) => ({
      ...entry(i, ""),
      text: Buffer.alloc(20 * 1024 * 1024, `${i}`),
    }));
    const closed = big.flatMap((one) => [one, { ...one, text: Buffer.from("\n") }]);
    const { lines } = await tail(closed, 4);
    expect(lines.map((line) => [line.length, line[0]])).toEqual(
      [1, 2, 3, 4].map((i) => [20 * 1024 * 1024 + 1, `${i}`]),
    );
  });
});
