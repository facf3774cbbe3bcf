import { expect, test } from "vitest";
import { canonicalQuantity, quantityValue } from "../../../model/codespec/quantity.ts";

test.each([
  ["1000m", "1"],
  ["1.5Gi", "1536Mi"],
  ["1G", "1G"],
  ["2048048", "2048048"],
  ["1000", "1k"],
  ["0.5", "500m"],
  ["1024Mi", "1Gi"],
  ["512Ki", "512Ki"],
  ["0.5Ki", "512"],
  ["1e3", "1e3"],
  ["5E", "5E"],
  ["12e6", "12e6"],
  ["1e+21", "9223372036854775807"],
  ["0", "0"],
  ["0Gi", "0"],
  ["+1", "1"],
  [".5", "500m"],
  ["1.", "1"],
  ["0.0000000001", "1n"],
])("the quantity %s is written as %s", (text, canonical) => {
  expect(canonicalQuantity(text)).toBe(canonical);
});

test.each(["", ".", "1Q", "-1", "1 Gi", "Gi", "1KI", "1e", "1e999", "0x10", "1,5", "NaN", "1\n"])(
  "the quantity %j is refused",
  (text) => {
    expect(() => canonicalQuantity(text)).toThrow(`The quantity '${text}' is not valid`);
  },
);

test("quantities have a value that does not depend on how they are written", () => {
  expect(quantityValue("1")).toBe(quantityValue("1000m"));
  expect(quantityValue("1Gi")).toBe(1073741824);
  expect(quantityValue("1Gi")).toBe(quantityValue("1073741824"));
  expect(quantityValue("1G")).toBe(1e9);
  expect(quantityValue("250m")).toBe(0.25);
});
