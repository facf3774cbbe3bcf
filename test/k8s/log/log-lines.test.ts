import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { logLinesOf, prefixed } from "../../../k8s/log/log-lines.ts";
import { LogOverlap } from "../../../k8s/log/log-overlap.ts";
import { ZERO_INSTANT, type LogLine } from "../../../model/ports/log.ts";

const AT = "2026-01-01T10:00:00.123456789Z";

async function linesOf(pieces: string[], prefix = ""): Promise<[string, string][]> {
  const lines: [string, string][] = [];
  const body = Readable.from(pieces.map((piece) => Buffer.from(piece)));
  for await (const batch of prefixed(prefix, logLinesOf(body))) {
    for (const { at, bytes } of batch) lines.push([at, Buffer.from(bytes).toString()]);
  }
  return lines;
}

describe("the lines of a pod's log", () => {
  test.each<[string, string[], [string, string][]]>([
    ["nothing", [], []],
    ["a line", [`${AT} hi\n`], [[AT, "hi\n"]]],
    ["an empty line", [`${AT} \n`], [[AT, "\n"]]],
    ["a line that begins with spaces", [`${AT}   hi\n`], [[AT, "  hi\n"]]],
    [
      "lines in any pieces",
      [AT.slice(0, 9), `${AT.slice(9)} o`, `ne\n${AT} two`, "\n"],
      [
        [AT, "one\n"],
        [AT, "two\n"],
      ],
    ],
    [
      "a last line without a line feed",
      [`${AT} one\n${AT} two`],
      [
        [AT, "one\n"],
        [AT, "two"],
      ],
    ],
    ["an instant of another zone", ["2026-01-01T12:00:00.5+02:00 hi\n"], [["2026-01-01T10:00:00.500000000Z", "hi\n"]]],
    [
      "a text of the node",
      ["unable to retrieve container logs for containerd://abc"],
      [[ZERO_INSTANT, "unable to retrieve container logs for containerd://abc"]],
    ],
    [
      "a line that only begins like one with an instant",
      ["2026-99-99T10:00:00Z hi\n"],
      [[ZERO_INSTANT, "2026-99-99T10:00:00Z hi\n"]],
    ],
  ])("%s", async (_name, pieces, expected) => {
    expect(await linesOf(pieces)).toEqual(expected);
  });

  test("have the prefix of their replica", async () => {
    expect(await linesOf([`${AT} hi\n`], "[job-0] ")).toEqual([[AT, "[job-0] hi\n"]]);
  });

  test("of two megabytes stay whole", async () => {
    const text = "x".repeat(2_000_000);
    const [line] = await linesOf([`${AT} ${text.slice(0, 999_999)}`, `${text.slice(999_999)}\n`]);
    expect(line?.[1]).toBe(`${text}\n`);
  });
});

describe("a log that is read in parts", () => {
  /** `second.digit` of an instant, and a text. */
  const line = (at: string, text = "x"): LogLine => ({
    at: `2026-01-01T10:00:0${at.padEnd(11, "0")}Z`,
    bytes: Buffer.from(`${text}\n`),
  });
  const [a, b, c, d] = [line("1.1", "a"), line("2.1", "bb"), line("2.2", "ccc"), line("4.1", "dddd")] as const;

  test("begins at its start", () => {
    const overlap = new LogOverlap();
    expect(overlap.resume()).toBeUndefined();
    expect(overlap.pass([a, b])).toEqual({ lines: [a, b], mayLack: false });
  });

  test.each<[string, LogLine[], LogLine[][], LogLine[], boolean]>([
    ["a part that repeats the last line", [a, b], [[b, c]], [c], false],
    ["a part that repeats more", [a, b, c], [[b, c, d]], [d], false],
    ["a part in pieces", [a, b, c], [[b], [c], [d]], [d], false],
    ["a part without anything new", [a, b], [[b]], [], false],
    ["an empty part", [a, b], [[]], [], false],
    ["a part without the last line", [a, b], [[c, d]], [c, d], true],
    ["a part with an older line alone", [b, c], [[b], [d]], [d], true],
    ["a last line that was overtaken", [a, c, b], [[c, b, d]], [d], false],
    ["a new line that is dated before the last one", [a, c], [[c, b]], [b], false],
    ["equal lines", [a, b, b], [[b, b, b]], [b], false],
    ["a text of the node instead of lines", [a], [[{ at: ZERO_INSTANT, bytes: Buffer.from("no log") }]], [], false],
  ])("%s", (_name, before, parts, expected, mayLack) => {
    const overlap = new LogOverlap();
    overlap.pass(before);
    overlap.resume();
    const passed = parts.map((part) => overlap.pass(part));
    expect(passed.flatMap(({ lines }) => lines)).toEqual(expected);
    expect(passed.some((each) => each.mayLack)).toBe(mayLack);
  });

  test("continues a second before its last line, in whole seconds", () => {
    const overlap = new LogOverlap();
    overlap.pass([a, d]);
    expect(overlap.resume()).toBe("2026-01-01T10:00:03Z");
  });

  test("is marked once where lines are missing", () => {
    const overlap = new LogOverlap();
    overlap.pass([a]);
    overlap.resume();
    expect([overlap.pass([b]).mayLack, overlap.pass([c]).mayLack]).toEqual([true, false]);
  });
});
