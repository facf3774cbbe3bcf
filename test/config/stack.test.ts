import { resolve } from "node:path";
import { expect, test } from "vitest";
import { readStackConfig } from "../../config/stack.ts";

test("the servers get the absolute path of the configuration file, because they run in another folder", () => {
  const config = readStackConfig({ TYGER_DATA_DIR: "/data", TYGER_CONFIG: "my/tyger.yml" }, 1);
  expect(config.inherited).toEqual({ TYGER_CONFIG: resolve("my/tyger.yml") });
});
