import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants, openSync, closeSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const PROGRAM = `
  import { createLog } from "./config/log.ts";
  const log = createLog("info", "test");
  for (let line = 0; line < 5000; line += 1) log.info({ line }, "x".repeat(1000));
  setTimeout(() => process.exit(7), 20);
`;

test("a process keeps running when the disk of its log is full", async () => {
  const full = openSync("/dev/full", constants.O_WRONLY);
  const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM], {
    cwd: ROOT,
    stdio: ["ignore", full, full],
  });
  closeSync(full);
  expect(await once(child, "exit")).toEqual([7, null]);
});
