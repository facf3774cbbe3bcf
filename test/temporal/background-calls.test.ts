import { expect, test } from "vitest";
import { createBackgroundCalls } from "../../temporal/background-calls.ts";
import type { RunIdentity } from "../../model/run/identity.ts";
import { unknownRun } from "../fakes/run-ports.ts";
import { eventually } from "../eventually.ts";

function scene(start: (run: RunIdentity) => Promise<void>) {
  const recorded: number[] = [];
  const warnings: object[] = [];
  const calls = createBackgroundCalls({
    workflows: { start, cancel: start },
    runs: { recordWorkflowStarted: async (id) => void recorded.push(id) },
    log: { warn: (facts, message) => void warnings.push({ ...facts, message }) },
  });
  return { calls, recorded, warnings };
}

test("a start is tried again until it succeeds, and is then recorded once", async () => {
  let failures = 2;
  const { calls, recorded, warnings } = scene(async () => {
    if (failures-- > 0) throw new Error("Temporal is down");
  });
  calls.start({ ...unknownRun, id: 7, uid: "a" });
  await eventually(() => recorded.length > 0);
  await calls.close();
  expect([recorded, warnings, failures]).toEqual([[7], [], -1]);
});

test("close ends the retries, and the log names the run that was given up", async () => {
  let attempts = 0;
  const { calls, recorded, warnings } = scene(async () => {
    attempts += 1;
    throw new Error("Temporal is down");
  });
  calls.cancel({ id: 7, uid: "a" });
  await eventually(() => attempts > 0);
  await calls.close();
  expect(recorded).toEqual([]);
  expect(warnings).toMatchObject([{ runId: 7, message: "could not send the cancel to the run's workflow yet" }]);
  const before = attempts;
  await new Promise(setImmediate);
  expect(attempts).toBe(before);
});
