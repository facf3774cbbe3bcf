import { cp, mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import pkg from "../../package.json" with { type: "json" };
import { run, type CommandResult } from "./stack.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const INSTALL_MS = 240_000;

let dir: string;
let tarball: string;
let env: Record<string, string>;

/** npm with the settings and the cache of whoever runs the tests. */
async function npm(...args: string[]): Promise<CommandResult> {
  const given = Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  const result = await run("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], {
    env: Object.fromEntries(given) as Record<string, string>,
    limitMs: INSTALL_MS,
  });
  if (result.code !== 0) throw new Error(`npm ${args.join(" ")} failed: ${result.stderr}`);
  return result;
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tyger-package-"));
  env = {
    HOME: join(dir, "home"),
    // Not in the cache, which is that of whoever runs the tests, with their login.
    TYGER_CACHE_FILE: join(dir, "login"),
    XDG_CACHE_HOME: process.env["XDG_CACHE_HOME"] ?? join(process.env["HOME"] ?? dir, ".cache"),
  };
  await mkdir(env["HOME"] ?? "");
  // The build is there: this test run was prepared with it.
  const { stdout } = await npm("pack", "--ignore-scripts", "--pack-destination", dir);
  tarball = join(dir, stdout.toString().trim().split("\n").at(-1) ?? "");
});
afterAll(async () => {
  // Root's database lies elsewhere, for Postgres' user could not get into this folder.
  const database = await realpath(join(env["HOME"] ?? "", ".local/share/tyger/postgres")).catch(() => undefined);
  if (database !== undefined) await rm(database, { recursive: true });
  await rm(dir, { recursive: true, force: true });
});

test("installed globally, the command works in an empty environment and runs the main job", async () => {
  const prefix = join(dir, "global");
  await npm("install", "--global", "--prefix", prefix, tarball);
  // Where npm puts what is global, the Node that it came with is.
  await symlink(process.execPath, join(prefix, "bin/node"));
  const tyger = join(prefix, "bin/tyger");
  expect((await run(tyger, ["--version"], { env: {} })).stdout.toString()).toBe(`tyger version ${pkg.version}\n`);
  expect((await run(tyger, ["run", "list"], { env: {} })).stderr).toBe(
    "Error: run 'tyger login' to connect to a Tyger server\n",
  );

  const up = await run(tyger, ["up"], { env: { ...env, PATH: process.env["PATH"] ?? "" }, limitMs: 180_000 });
  expect({ code: up.code, stderr: up.stderr }).toMatchObject({ code: 0 });
  try {
    const file = join(dir, "hello.yml");
    const command = ["bash", "-c", 'read -r name < "$INPUT_PIPE"; echo "Hello $name" > "$OUTPUT_PIPE"'];
    const buffers = { inputs: ["input"], outputs: ["output"] };
    const codespec = { kind: "job", image: inject("testImage"), buffers, command };
    await writeFile(file, JSON.stringify({ job: { codespec } }));
    const { code, stdout, stderr } = await run(tyger, ["run", "exec", "-f", file], { env, input: "Paul\n" });
    expect({ code, stdout: stdout.toString(), stderr }).toMatchObject({ code: 0, stdout: "Hello Paul\n" });
  } finally {
    await run(tyger, ["down", "--cancel"], { env, limitMs: 60_000 });
  }
});

test("installed in a folder, npx finds the command and a TypeScript program its typed signals and queries", async () => {
  const folder = join(dir, "local");
  await mkdir(folder);
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "local", private: true, type: "module" }));
  await npm("install", "--prefix", folder, tarball);
  const path = `${dirname(process.execPath)}:/usr/bin:/bin`;
  const version = await run("sh", ["-c", `cd ${folder} && npx tyger --version`], {
    env: { ...env, PATH: `${path}:${process.env["PATH"] ?? ""}` },
  });
  expect(version.stdout.toString()).toBe(`tyger version ${pkg.version}\n`);

  await cp(join(ROOT, "node_modules/@types"), join(folder, "node_modules/@types"), { recursive: true });
  const program = join(folder, "program.ts");
  await writeFile(
    program,
    `import type { WorkflowHandle } from "@temporalio/client";
import { cancelRun, currentRun, workflowIdOf, type RunView } from "tyger";
export async function cancel(handle: WorkflowHandle): Promise<RunView> {
  await handle.signal(cancelRun);
  return handle.query(currentRun);
}
process.stdout.write(workflowIdOf("abc", 7) + " " + cancelRun.name + " " + currentRun.name);
`,
  );
  const flags = ["--ignoreConfig", "--noEmit", "--strict", "--module", "nodenext", "--target", "esnext"];
  const types = ["--types", "node", "--skipLibCheck", program];
  const checked = await run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), ...flags, ...types], {
    env,
  });
  expect(checked.stdout.toString()).toBe("");
  expect((await run(process.execPath, [program], { env })).stdout.toString()).toBe("abc-run-7 cancel currentRun");
});

test("the package carries what runs and no more", async () => {
  const installed = await readdir(join(dir, "local/node_modules/tyger"));
  const expected = ["README.md", "bin", "db", "dist", "examples", "package.json", "temporal-dev.yaml"];
  expect(installed.filter((name) => name !== "node_modules").toSorted()).toEqual(expected);
  const dist = await readdir(join(dir, "local/node_modules/tyger/dist"));
  expect(dist).not.toContain("node-path");
});
