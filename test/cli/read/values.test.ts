import { describe, expect, test } from "vitest";
import { splitCsv } from "../../../cli/line/csv.ts";
import { formatBitRate, formatBytes, parseDataSize } from "../../../cli/read/data-size.ts";
import { formatTtl, parseTtl } from "../../../cli/read/ttl.ts";

describe("times to live", () => {
  test.each([
    ["0", 0],
    ["1", 86_400],
    ["0.01", 3600],
    ["0.00:05", 300],
    ["1.02:03:04", 93_784],
    ["  2.00:00 ", 172_800],
    ["400", 34_560_000],
  ])("%s", (text, seconds) => {
    expect(parseTtl(text)).toBe(seconds);
    expect(parseTtl(formatTtl(seconds))).toBe(seconds);
  });

  test.each(["", "1.2", "1.24", "1.00:60", "1.00:00:60", "00:05", "-1", "1.", "1d", "1.00:0", "1. 02"])(
    "'%s' is not valid",
    (text) => {
      expect(() => parseTtl(text)).toThrow("D.HH:MM:SS");
    },
  );

  test("a time to live in an access request has all its parts", () => {
    expect(formatTtl(3661)).toBe("0.01:01:01");
    expect(formatTtl(90_000)).toBe("1.01:00:00");
  });
});

describe("sizes", () => {
  test.each([
    ["0", 0],
    ["4096", 4096],
    ["1K", 1024],
    ["1KB", 1024],
    ["1KiB", 1024],
    ["1.5K", 1536],
    ["1k", 1024],
    ["4MiB", 4_194_304],
    ["2 G", 2_147_483_648],
    ["10B", 10],
    [".5K", 512],
  ])("%s", (text, bytes) => {
    expect(parseDataSize(text)).toBe(bytes);
  });

  test.each(["", "K", "1X", "-1", "1e3", "1KK", "9999999E", "0x10"])("'%s' is not valid", (text) => {
    expect(() => parseDataSize(text)).toThrow(/^(?:use a size such as|it is too large)/);
  });

  test.each([
    [0, "0B"],
    [1023, "1023B"],
    [1024, "1KiB"],
    [1_572_864, "1.5MiB"],
    [1_073_741_824, "1GiB"],
  ])("%i bytes are shown as %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test.each([
    [0, "0bps"],
    [4_000_000, "32Mbps"],
    [125_000_000, "1Gbps"],
  ])("%i bytes a second are shown as %s", (rate, text) => {
    expect(formatBitRate(rate)).toBe(text);
  });
});

describe("comma-separated values", () => {
  test.each([
    ["a", ["a"]],
    ["a,b", ["a", "b"]],
    ["a,", ["a", ""]],
    [",", ["", ""]],
    ['"a,b",c', ["a,b", "c"]],
    ['"say ""hi"""', ['say "hi"']],
    ['""', [""]],
  ])("%s", (line, fields) => {
    expect(splitCsv(line)).toEqual(fields);
  });

  test.each(['"a', '"a"b', '"a""'])("%s has no closing quote", (line) => {
    expect(() => splitCsv(line)).toThrow("quotes");
  });
});
