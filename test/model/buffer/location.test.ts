import { expect, test } from "vitest";
import { chooseLocation, type LocationNames } from "../../../model/buffer/location.ts";

const NAMES: LocationNames = ["Fast", "archive"];

test.each([
  [undefined, "Fast"],
  ["", "Fast"],
  ["fast", "Fast"],
  ["ARCHIVE", "archive"],
])("a buffer with the location %j is in %j", (requested, chosen) => {
  expect(chooseLocation(NAMES, requested)).toBe(chosen);
});

test.each(["mars", "local", "fas", " fast"])("the location %j is refused, with those that there are", (requested) => {
  expect(() => chooseLocation(NAMES, requested)).toThrow(
    expect.objectContaining({
      code: "InvalidInput",
      message: `The location '${requested}' is not known; this server has 'Fast', 'archive'`,
    }),
  );
});
