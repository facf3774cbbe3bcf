import { expect, test } from "vitest";
import { inputInt, inputMap } from "../../../contract/lenient/input-schema.ts";

const ports = inputMap(inputInt(1, 9));

test.each(["a", "__proto__", "constructor", "toString"])("a map keeps the key '%s'", (key) => {
  const parsed = ports.parse(JSON.parse(`{"${key}":"7","z":1}`));
  expect(Object.entries(parsed)).toEqual([
    [key, 7],
    ["z", 1],
  ]);
});

test.each([
  [{ a: 1, b: "x" }, ["b"]],
  [JSON.parse('{"__proto__":10}'), ["__proto__"]],
  ["text", []],
  [[1], []],
])("a map like %j is refused where it is wrong", (given, path) => {
  expect(ports.safeParse(given).error?.issues[0]?.path).toEqual(path);
});
