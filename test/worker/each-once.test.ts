import { expect, test } from "vitest";
import { eachOnce } from "../../worker/each-once.ts";

test("a warning with the same facts is logged once, others are too", () => {
  const logged: unknown[] = [];
  const log = eachOnce({ info: (facts) => void logged.push(facts), warn: (facts) => void logged.push(facts) });
  for (const reason of ["a", "a", "b", "a"]) log.warn({ reason }, "away");
  log.warn({ reason: "a" }, "another message");
  for (let time = 0; time < 2; time++) log.info({ reason: "a" }, "away");
  expect(logged).toEqual(["a", "b", "a", "a", "a"].map((reason) => ({ reason })));
});
