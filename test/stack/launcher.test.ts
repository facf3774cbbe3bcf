import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const LAUNCHER = resolve(import.meta.dirname, "../../bin/tyger");

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tyger-bin-"));
  mkdirSync(join(root, "bin"));
  mkdirSync(join(root, "dist"));
  copyFileSync(LAUNCHER, join(root, "bin/tyger"));
  writeFileSync(join(root, "dist/cli.js"), "console.log(JSON.stringify([process.ppid, ...process.argv.slice(2)]));");
  writeFileSync(join(root, "dist/node-path"), `${process.execPath}\n`);
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const launch = (program: string, args: string[]) => spawnSync(program, args, { env: {}, cwd: "/", encoding: "utf8" });

test("the launcher works in an empty environment and leaves its caller as the parent", () => {
  const { stdout, stderr, status } = launch(join(root, "bin/tyger"), ["a b", "--", "$c"]);
  expect({ stdout: JSON.parse(stdout), stderr, status }).toEqual({
    stdout: [process.pid, "a b", "--", "$c"],
    stderr: "",
    status: 0,
  });
});

test("the launcher works through links, absolute and relative", () => {
  mkdirSync(join(root, "links"));
  symlinkSync("../bin/tyger", join(root, "links/one"));
  symlinkSync(join(root, "links/one"), join(root, "links/two"));
  expect(JSON.parse(launch(join(root, "links/two"), ["x"]).stdout)).toEqual([process.pid, "x"]);
});

test("without a build the launcher says how to get one", () => {
  rmSync(join(root, "dist"), { recursive: true });
  const { stderr, status } = launch(join(root, "bin/tyger"), []);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^Error: tyger is not built yet; run 'npm run quickstart'/);
});
