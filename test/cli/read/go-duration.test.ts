import { expect, test } from "vitest";
import { parseGoDuration } from "../../../cli/read/go-duration.ts";

const SECOND = 1_000_000_000n;

test.each([
  ["0", 0n],
  ["300s", 300n * SECOND],
  ["1.5h", 5400n * SECOND],
  ["2h45m", 9900n * SECOND],
  ["1h1m1s", 3661n * SECOND],
  ["500ms", SECOND / 2n],
  [".5s", SECOND / 2n],
  ["1.s", SECOND],
  ["1us", 1000n],
  ["1µs", 1000n],
  ["7ns", 7n],
  ["-1m", -60n * SECOND],
  ["+1m", 60n * SECOND],
  ["0.000000001s", 1n],
  ["1m1m", 120n * SECOND],
])("%s", (text, nanoseconds) => {
  expect(parseGoDuration(text)).toBe(nanoseconds);
});

test.each(["", "10", "1.5", "m", "1d", "1h30", " 1s", "1s ", "1 s", "--1s", ".s", "1e3s", "1H"])(
  "'%s' is not a duration",
  (text) => {
    expect(() => parseGoDuration(text)).toThrow(`The duration '${text}'`);
  },
);

test.each(["2562048h", "9999999h", "-9999999h", `${"9".repeat(1000)}h`])(
  "'%s' is too long, not badly formed",
  (text) => {
    expect(() => parseGoDuration(text)).toThrow(`The duration '${text}' is too long; the maximum is 292 years`);
  },
);
