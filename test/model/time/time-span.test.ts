import { expect, test } from "vitest";
import { formatTimeSpan, parseTimeSpan } from "../../../model/time/time-span.ts";

test.each([
  ["0.00:01:00", 60, "00:01:00"],
  ["01:00:00", 3600, "01:00:00"],
  ["0.00:05", 300, "00:05:00"],
  ["00:05", 300, "00:05:00"],
  ["1", 86400, "1.00:00:00"],
  ["0", 0, "00:00:00"],
  ["2.03:04:05", 183845, "2.03:04:05"],
  [" 00:00:30 ", 30, "00:00:30"],
  ["00:00:01.5", 1.5, "00:00:01.5000000"],
  ["00:00:59.9999999", 59.9999999, "00:00:59.9999999"],
])("the time span %j is %d seconds and written %s", (text, seconds, written) => {
  expect(parseTimeSpan(text)).toBeCloseTo(seconds, 7);
  expect(formatTimeSpan(parseTimeSpan(text))).toBe(written);
});

test.each(["", "-1", "-00:01", "24:00", "00:60", "00:00:60", "1h", "1.", "1:2:3:4", "00:00:00.", "99999999999999"])(
  "the time span %j is refused",
  (text) => {
    expect(() => parseTimeSpan(text)).toThrow(`The time span '${text}'`);
  },
);
