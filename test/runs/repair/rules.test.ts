import { describe, expect, test } from "vitest";
import { overdueDuty, settledDuty, sinceExitMs } from "../../../runs/repair/rules.ts";

const SECOND = 1000;
const DAY = 24 * 3600 * SECOND;

describe("an open run that must end", () => {
  test.each([
    ["its cancel is fresh", { sinceCancelMs: 0 }, "deliver"],
    ["its workflow has had almost a minute for the cancel", { sinceCancelMs: 60 * SECOND - 1 }, "deliver"],
    ["its workflow has had a minute for the cancel", { sinceCancelMs: 60 * SECOND }, "end"],
    ["its deadline has just passed", { sinceDeadlineMs: 0 }, "none"],
    ["its workflow has had almost two minutes for the deadline", { sinceDeadlineMs: 120 * SECOND - 1 }, "none"],
    ["its workflow has had two minutes for the deadline", { sinceDeadlineMs: 120 * SECOND }, "end"],
    ["the deadline came during the cancel", { sinceCancelMs: 30 * SECOND, sinceDeadlineMs: 0 }, "deliver"],
    ["the cancel came after the deadline", { sinceCancelMs: 0, sinceDeadlineMs: 120 * SECOND }, "end"],
    ["the cluster has not answered for almost a day", { sinceCancelMs: DAY - 1 }, "end"],
    ["a day has passed since the cancel", { sinceCancelMs: DAY }, "giveUp"],
    ["a day has passed since the deadline", { sinceCancelMs: 0, sinceDeadlineMs: DAY }, "giveUp"],
    ["nothing is known", {}, "none"],
  ])("%s", (_case, since, duty) => {
    expect(overdueDuty(since)).toBe(duty);
  });
});

describe("an open run whose containers and pumps have ended", () => {
  test.each([
    ["a moment ago", 0, undefined, "none"],
    ["half a minute ago", 30 * SECOND, undefined, "report"],
    ["an hour ago, and was just reported", 3600 * SECOND, 0, "none"],
    ["and was reported half a minute ago", 60 * SECOND, 30 * SECOND, "end"],
  ])("%s", (_case, settledForMs, reportedForMs, duty) => {
    expect(settledDuty(settledForMs, reportedForMs)).toBe(duty);
  });
});

test.each([
  ["in the past", "2026-01-01T00:00:00Z", 5000],
  ["in the future, as of a clock that is wrong", "2026-01-02T00:00:00Z", 0],
  ["no date", undefined, 0],
  ["no date that can be read", "soon", 0],
])("the time since an exit that the engine dates: %s", (_case, finishedAt, sinceMs) => {
  const container = { phase: "Exited" as const, ...(finishedAt === undefined ? {} : { finishedAt }) };
  expect(sinceExitMs(container, Date.parse("2026-01-01T00:00:05Z"))).toBe(sinceMs);
});
