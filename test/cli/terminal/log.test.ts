import { describe, expect, test } from "vitest";
import { createLog, FORMATS, type LogFields, type LogFormat, type LogLevel } from "../../../cli/terminal/log.ts";

const AT = new Date("2026-11-22T21:37:37.503Z");
const line = (fields: LogFields, level: LogLevel = "info", message = "Run created") => ({
  at: AT,
  level,
  message,
  fields,
});

describe("plain lines", () => {
  const cases: [fields: LogFields, text: string][] = [
    [{}, ""],
    [{ runId: 7 }, " runId=7"],
    [{ runId: 7, error: "no" }, " error=no runId=7"],
    [{ b: 1, a: 2, error: new Error("it broke") }, ' error="it broke" a=2 b=1'],
    [{ empty: "" }, ' empty=""'],
    [{ text: 'say "hi"' }, ' text="say \\"hi\\""'],
    [{ text: "a=b" }, ' text="a=b"'],
    [{ text: "two\nlines" }, ' text="two\\nlines"'],
    [{ flag: true, missing: undefined }, " flag=true"],
    [{ list: [1, 2] }, " list=[1,2]"],
  ];
  test.each(cases)("%j", (fields, text) => {
    expect(FORMATS.plain(line(fields))).toMatch(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:Z|[+-]\d\d:\d\d) INF Run created/,
    );
    expect(FORMATS.plain(line(fields)).split("Run created")[1]).toBe(text);
  });

  test.each([
    ["trace", "TRC"],
    ["debug", "DBG"],
    ["info", "INF"],
    ["warn", "WRN"],
    ["error", "ERR"],
    ["fatal", "FTL"],
  ] as const)("%s is written %s", (level, short) => {
    expect(FORMATS.plain(line({}, level))).toContain(` ${short} `);
  });

  test.each([
    ["UTC", "2026-11-22T21:37:37.503Z"],
    ["Asia/Kolkata", "2026-11-23T03:07:37.503+05:30"],
    ["America/St_Johns", "2026-11-22T18:07:37.503-03:30"],
  ])("local time in %s", (zone, time) => {
    const before = process.env["TZ"];
    process.env["TZ"] = zone;
    try {
      expect(FORMATS.plain(line({})).split(" ")[0]).toBe(time);
    } finally {
      process.env["TZ"] = before;
    }
  });
});

test("a JSON line is one object with level, fields, time and message", () => {
  expect(JSON.parse(FORMATS.json(line({ runId: 7, error: new Error("no") }, "fatal")))).toEqual({
    level: "fatal",
    error: "no",
    runId: 7,
    time: "2026-11-22T21:37:37.503Z",
    message: "Run created",
  });
});

test("a pretty line is the plain one with colors", () => {
  // oxlint-disable-next-line no-control-regex -- the colors are control characters
  const plain = FORMATS.pretty(line({ runId: 7 })).replace(/\u001B\[\d+m/g, "");
  expect(plain).toBe(FORMATS.plain(line({ runId: 7 })));
});

function logged(level: LogLevel, format: LogFormat, use: (log: ReturnType<typeof createLog>) => void): string[] {
  const lines: string[] = [];
  use(createLog({ level, format, write: (text) => lines.push(text) }));
  return lines;
}

test("lines below the level are left out", () => {
  const lines = logged("warn", "plain", (log) => {
    log.info("no");
    log.warn("yes");
    log.fatal("yes");
  });
  expect(lines).toHaveLength(2);
});

test("a warning that is repeated at once is written once; other warnings are not suppressed", () => {
  const lines = logged("info", "plain", (log) => {
    for (let i = 0; i < 10; i++) log.warn("Received retryable error", { error: "refused" });
    log.warn("Received retryable error", { error: "reset" });
    log.info("twice");
    log.info("twice");
  });
  expect(lines).toHaveLength(4);
});
