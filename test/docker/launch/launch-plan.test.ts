import { describe, expect, test } from "vitest";
import { afterFailure, attemptsToFence, verdictOn, type Seen } from "../../../docker/launch/launch-plan.ts";

const NONE: Seen = { phase: "none" };
const made = (attempt: string): Seen => ({ phase: "made", containerId: "c1", attempt });
const started = (attempt: string): Seen => ({ phase: "started", containerId: "c1", attempt });

describe("the folders that are renamed before the second look", () => {
  test.each([
    ["nothing is seen", NONE, ["a1"]],
    ["the attempt's own container was only made", made("a1"), ["a1"]],
    ["another attempt's container was only made", made("a2"), ["a2", "a1"]],
    ["the container was started", started("a1"), []],
    ["another attempt's container was started", started("a2"), []],
  ])("%s", (_name, seen, attempts) => {
    expect(attemptsToFence({ attempt: "a1" }, seen)).toEqual(attempts);
    // A recorded container changes nothing: it says what was made, not what was started.
    expect(attemptsToFence({ attempt: "a1", containerId: "c1" }, seen)).toEqual(attempts);
  });
});

describe("the verdict on an earlier attempt", () => {
  const unrecorded = { attempt: "a1" };
  const recorded = { attempt: "a1", containerId: "c1" };
  test.each([
    ["nothing made, nothing recorded", unrecorded, NONE, { kind: "discard", attempts: ["a1"] }],
    ["recorded, but gone", recorded, NONE, { kind: "leave" }],
    ["made, not recorded", unrecorded, made("a1"), { kind: "discard", containerId: "c1", attempts: ["a1"] }],
    ["made and recorded", recorded, made("a1"), { kind: "discard", containerId: "c1", attempts: ["a1"] }],
    ["made by another", unrecorded, made("a2"), { kind: "discard", containerId: "c1", attempts: ["a1", "a2"] }],
    ["started, not recorded", unrecorded, started("a1"), { kind: "adopt", containerId: "c1" }],
    ["started and recorded", recorded, started("a1"), { kind: "adopt", containerId: "c1" }],
    ["started by another", recorded, started("a2"), { kind: "adopt", containerId: "c1" }],
  ])("%s", (_name, claim, seen, verdict) => {
    expect(verdictOn(claim, seen)).toEqual(verdict);
  });
});

test.each([
  [{ isOurs: true, isFinal: false }, "keep"],
  [{ isOurs: true, isFinal: true }, "fail"],
  [{ isOurs: false, isFinal: false }, "report"],
  [{ isOurs: false, isFinal: true }, "report"],
])("an attempt that failed (%o) ends by: %s", (facts, next) => {
  expect(afterFailure(facts)).toBe(next);
});
