import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseSinceTime } from "../../../cli/read/since-time.ts";

let zoneBefore: string | undefined;
beforeEach(() => {
  zoneBefore = process.env["TZ"];
  process.env["TZ"] = "Asia/Kolkata";
});
afterEach(() => {
  process.env["TZ"] = zoneBefore;
});

/** 10:20:30.456 in Kolkata, which is 5:30 ahead of UTC. */
const NOW = new Date("2026-11-22T04:50:30.456Z");

describe("a valid time", () => {
  const cases: [text: string, instant: string][] = [
    // RFC 3339, with every digit that was given
    ["2024-01-25T18:20:49Z", "2024-01-25T18:20:49Z"],
    ["2024-01-25T18:20:49.951262Z", "2024-01-25T18:20:49.951262Z"],
    ["2024-01-25T18:20:49.951262123Z", "2024-01-25T18:20:49.951262123Z"],
    ["2024-01-25T18:20:49.123456789+02:00", "2024-01-25T16:20:49.123456789Z"],
    ["2024-01-25T18:20:49-08:00", "2024-01-26T02:20:49Z"],
    ["2024-01-25t18:20:49.5z", "2024-01-25T18:20:49.5Z"],
    [" 2024-01-25T18:20:49Z ", "2024-01-25T18:20:49Z"],
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"],
    // local time
    ["2024-01-25T18:20:49", "2024-01-25T12:50:49Z"],
    ["2024-01-25 18:20:49", "2024-01-25T12:50:49Z"],
    ["2024-01-25 18:20:49.000000001", "2024-01-25T12:50:49.000000001Z"],
    ["2024-01-25T18:20", "2024-01-25T12:50:00Z"],
    ["2024-01-25 18:20", "2024-01-25T12:50:00Z"],
    ["2024/01/25 18:20", "2024-01-25T12:50:00Z"],
    ["01/25/2024 18:20", "2024-01-25T12:50:00Z"],
    ["18:20", "2026-11-22T12:50:00Z"],
    ["18:20:01", "2026-11-22T12:50:01Z"],
    ["00:00", "2026-11-21T18:30:00Z"],
    // a date alone is midnight of that day
    ["2024-01-25", "2024-01-24T18:30:00Z"],
    ["2024/01/25", "2024-01-24T18:30:00Z"],
    ["01/25/2024", "2024-01-24T18:30:00Z"],
    ["2024-02-29", "2024-02-28T18:30:00Z"],
    // words
    ["now", "2026-11-22T04:50:30.456Z"],
    ["NOW", "2026-11-22T04:50:30.456Z"],
    ["today", "2026-11-21T18:30:00Z"],
    ["yesterday", "2026-11-20T18:30:00Z"],
    ["1 second ago", "2026-11-22T04:50:29.456Z"],
    ["90 seconds ago", "2026-11-22T04:49:00.456Z"],
    ["5 minutes ago", "2026-11-22T04:45:30.456Z"],
    ["2 hours ago", "2026-11-22T02:50:30.456Z"],
    ["1 day ago", "2026-11-21T04:50:30.456Z"],
    ["2 Weeks Ago", "2026-11-08T04:50:30.456Z"],
    ["1 month ago", "2026-10-22T04:50:30.456Z"],
    ["3 years ago", "2023-11-22T04:50:30.456Z"],
    ["-10 minutes", "2026-11-22T04:40:30.456Z"],
    ["-1 day", "2026-11-21T04:50:30.456Z"],
    ["-2hours", "2026-11-22T02:50:30.456Z"],
  ];
  test.each(cases)("%s is %s", (text, instant) => {
    expect(parseSinceTime(text, NOW)).toBe(instant);
  });
});

describe("an invalid time", () => {
  const texts = [
    "",
    "whenever",
    "2024-13-01",
    "2024-02-30",
    "2023-02-29",
    "13/01/2024",
    "25:00",
    "12:60",
    "2024-01-25T24:00:00Z",
    "5 fortnights ago",
    "ago",
    "5 minutes",
    "tomorrow",
    "2024-01-25T18:20:49Z extra",
    "99999999 years ago",
    "constructor",
    "1 constructor ago",
  ];
  test.each(texts)("%s", (text) => {
    expect(() => parseSinceTime(text, NOW)).toThrow(`failed to parse time ${text}`);
  });
});
