import { expect, test } from "vitest";
import { interleaved, lastOf, mergedByTime } from "../../../model/log/merged-log.ts";
import { ZERO_INSTANT, type LogLine, type LogLines } from "../../../model/ports/log.ts";

const AT = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, "0")}.000000000Z`;
const line = (at: string, text: string): LogLine => ({ at, bytes: Buffer.from(text) });
async function* log(...batches: LogLine[][]): LogLines {
  for (const batch of batches) yield await Promise.resolve(batch);
}
async function textOf(lines: LogLines): Promise<string> {
  let text = "";
  for await (const batch of lines) for (const { bytes } of batch) text += Buffer.from(bytes).toString();
  return text;
}

test("logs are merged in time order, and lines of one instant in the order of the logs", async () => {
  const a = log([line(AT(1), "a1\n"), line(AT(3), "a3\n")], [line(AT(3), "a3b\n"), line(AT(9), "a9\n")]);
  const b = log([], [line(AT(1), "b1\n")], [line(AT(2), "b2\n"), line(AT(3), "b3\n")]);
  const c = log([line(AT(3), "c3\n"), line(AT(4), "c4\n")]);
  expect(await textOf(mergedByTime([a, b, c]))).toBe("a1\nb1\nb2\na3\na3b\nb3\nc3\nc4\na9\n");
});

test("a line without an instant stays behind the one that it followed", async () => {
  const a = log([line(AT(5), "a5\n"), line(ZERO_INSTANT, "its rest\n"), line(AT(7), "a7\n")]);
  const b = log([line(AT(6), "b6\n")]);
  expect(await textOf(mergedByTime([a, b]))).toBe("a5\nits rest\nb6\na7\n");
});

test("only the very last line keeps no line feed", async () => {
  const unfinished = (): LogLines[] => [log([line(AT(1), "a")]), log([line(AT(2), "b")])];
  expect(await textOf(mergedByTime(unfinished()))).toBe("a\nb");
  expect(await textOf(interleaved(unfinished()))).toBe("a\nb");
});

test("followed logs come as they arrive, and one that is silent holds up no other", async () => {
  const silent = Promise.withResolvers<void>();
  async function* late(): LogLines {
    await silent.promise;
    yield [line(AT(1), "late\n")];
  }
  const merged = interleaved([late(), log([line(AT(2), "early\n")], [line(AT(3), "next\n")])])[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await merged.next()).value?.[0]?.bytes);
  expect([await next(), await next()]).toEqual(["early\n", "next\n"]);
  silent.resolve();
  expect(await next()).toBe("late\n");
  expect((await merged.next()).done).toBe(true);
});

test("a log that fails fails the whole, and the others are closed", async () => {
  let isClosed = false;
  async function* open(): LogLines {
    try {
      for (;;) yield await Promise.resolve([line(AT(1), "a\n")]);
    } finally {
      isClosed = true;
    }
  }
  async function* failing(): LogLines {
    yield [line(AT(2), "b\n")];
    await Promise.resolve();
    throw new Error("broken");
  }
  let isNextClosed = false;
  async function* next(): LogLines {
    try {
      yield [line(AT(3), "c\n")];
      yield [line(AT(4), "d\n")];
    } finally {
      isNextClosed = true;
    }
  }
  await expect(textOf(mergedByTime([failing(), next()]))).rejects.toThrow("broken");
  expect(isNextClosed).toBe(true);
  await expect(textOf(interleaved([open(), failing()]))).rejects.toThrow("broken");
  expect(isClosed).toBe(true);
});

test("the last lines of a log", async () => {
  const whole = (): LogLines => log([line(AT(1), "1\n"), line(AT(2), "2\n")], [line(AT(3), "3\n")]);
  const texts = async (count: number) =>
    (await lastOf(count, whole())).map(({ bytes }) => Buffer.from(bytes).toString());
  expect([await texts(0), await texts(2), await texts(9)]).toEqual([[], ["2\n", "3\n"], ["1\n", "2\n", "3\n"]]);
});
