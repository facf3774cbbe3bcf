import { describe, expect, test } from "vitest";
import {
  firstLookAtMs,
  LOG_PACE,
  MinuteCount,
  nextLookAtMs,
  planLogs,
  type PlannedLog,
} from "../../../k8s/log/log-plan.ts";

/** Times in the tables are seconds. */
const NOW = 1_000;
interface Planned extends PlannedLog {
  name: string;
}
const log = (
  name: string,
  more: Partial<Record<"startedAt" | "lookedAt" | "pausedUntil" | "firstLookAt" | "minuteBytes", number>> & {
    isFollowed?: boolean;
    isBusy?: boolean;
  } = {},
): Planned => ({
  name,
  startedAtMs: (more.startedAt ?? 0) * 1000,
  firstLookAtMs: (more.firstLookAt ?? 0) * 1000,
  lookedAtMs: more.lookedAt === undefined ? undefined : more.lookedAt * 1000,
  pausedUntilMs: (more.pausedUntil ?? 0) * 1000,
  minuteBytes: more.minuteBytes ?? 0,
  isFollowed: more.isFollowed ?? false,
  isBusy: more.isBusy ?? more.isFollowed ?? false,
});
const plan = (logs: Planned[], pace = LOG_PACE) => {
  const { look, follow, leave } = planLogs(logs, NOW * 1000, pace);
  const names = (some: Planned[]): string[] => some.map(({ name }) => name);
  return { look: names(look), follow: names(follow), leave: names(leave) };
};

test("the pace", () => {
  expect(LOG_PACE).toEqual({
    firstLookMs: 4_000,
    lookMs: 30_000,
    followBytes: 1_000_000,
    followers: 200,
    partBytes: 1_048_576,
    partAgeMs: 600_000,
    flushMs: 30_000,
    retryMs: 5_000,
  });
});

describe("which logs are read", () => {
  const nothing = { look: [], follow: [], leave: [] };
  test.each<[string, Planned, Partial<ReturnType<typeof plan>>]>([
    ["a new container, not yet", log("a", { startedAt: 999, firstLookAt: 1003 }), {}],
    ["a new container whose first moment has come", log("a", { startedAt: 996, firstLookAt: 1000 }), { look: ["a"] }],
    ["a quiet one that was read 29 s ago", log("a", { lookedAt: 971 }), {}],
    ["a quiet one that was read 30 s ago", log("a", { lookedAt: 970 }), { look: ["a"] }],
    ["one that is being read", log("a", { lookedAt: 0, isBusy: true }), {}],
    ["one that failed a moment ago", log("a", { lookedAt: 0, pausedUntil: 1001, minuteBytes: 2e6 }), {}],
    ["a loud one", log("a", { lookedAt: 999, minuteBytes: 1_000_001 }), { follow: ["a"] }],
    ["one that is not quite loud", log("a", { lookedAt: 999, minuteBytes: 1_000_000 }), {}],
    ["a loud one that is being read", log("a", { lookedAt: 999, minuteBytes: 2e6, isBusy: true }), {}],
    ["a followed one that is loud", log("a", { minuteBytes: 1_000_001, isFollowed: true }), {}],
    ["a followed one that has become quiet", log("a", { minuteBytes: 1_000_000, isFollowed: true }), { leave: ["a"] }],
  ])("%s", (_name, one, expected) => {
    expect(plan([one])).toEqual({ ...nothing, ...expected });
  });

  test("of many loud ones the loudest are followed, and the others are read often", () => {
    const pace = { ...LOG_PACE, followers: 3 };
    const logs = [
      log("followed", { minuteBytes: 2e6, isFollowed: true }),
      log("leaving", { minuteBytes: 0, isFollowed: true }),
      log("loud", { minuteBytes: 60e6, lookedAt: 998 }),
      log("louder", { minuteBytes: 90e6, lookedAt: 998 }),
      log("less loud", { minuteBytes: 30e6, lookedAt: 997 }),
      log("hardly loud", { minuteBytes: 2e6, lookedAt: 997 }),
    ];
    expect(plan(logs, pace)).toEqual({ look: ["less loud"], follow: ["louder", "loud"], leave: ["leaving"] });
  });
});

test.each([
  ["soon after the start", { startedAt: 0, lookedAt: 4 }, 8],
  ["twice as late each time", { startedAt: 0, lookedAt: 8 }, 16],
  ["twice as late each time, again", { startedAt: 0, lookedAt: 16 }, 32],
  ["every half minute at most", { startedAt: 0, lookedAt: 500 }, 530],
  ["before another part is written", { startedAt: 0, lookedAt: 500, minuteBytes: 6 * LOG_PACE.partBytes }, 510],
  ["not at once, however much is written", { startedAt: 0, lookedAt: 500, minuteBytes: 1e12 }, 500.5],
])("the next look is %s", (_name, times, expected) => {
  expect(nextLookAtMs(log("a", times), LOG_PACE) / 1000).toBe(expected);
});

test.each([
  ["a container that was just started", 990, 994],
  ["one that has run for long, at any moment of the next half minute", 100, 1015],
])("the first look at %s", (_name, startedAt, expected) => {
  expect(firstLookAtMs(startedAt * 1000, NOW * 1000, LOG_PACE, () => 0.5)).toBe(expected * 1000);
});

test("bytes count for a minute", () => {
  const count = new MinuteCount();
  count.add(0, 5);
  count.add(999, 1);
  count.add(30_000, 7);
  count.add(31_000, 0);
  expect([0, 30_000, 59_999, 60_000, 89_999, 90_000].map((ms) => count.bytes(ms))).toEqual([13, 13, 13, 7, 7, 0]);
});
