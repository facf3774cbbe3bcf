import { expect, test } from "vitest";
import { isCutOff } from "../../../model/run/cut-off.ts";

test.each([
  [0, false],
  [1, false],
  [128, false],
  [129, true],
  [137, true],
  [159, true],
  [160, false],
  [255, false],
])("a job that exits with %i was cut off: %s", (exitCode, expected) => {
  expect(isCutOff({ exitCode, isOutOfMemory: false })).toBe(expected);
});

test.each([0, 3, 137])("a job that ran out of memory was cut off, also if it exits with %i", (exitCode) => {
  expect(isCutOff({ exitCode, isOutOfMemory: true })).toBe(true);
});
