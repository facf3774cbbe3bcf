import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { ERROR_CODES } from "../model/errors.ts";

test("docs/errors.md lists every code, and no other", () => {
  const page = readFileSync(resolve(import.meta.dirname, "../docs/errors.md"), "utf8");
  const listed = [...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code);
  expect(new Set(listed)).toEqual(new Set(ERROR_CODES));
  expect(listed).toHaveLength(ERROR_CODES.length);
});
