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

test.each(["program", "signal"])("docs/programs.md shows examples/%s.ts as it is", (name) => {
  const page = readFileSync(resolve(import.meta.dirname, "../docs/programs.md"), "utf8");
  expect(page).toContain(readFileSync(resolve(import.meta.dirname, `../examples/${name}.ts`), "utf8"));
});
