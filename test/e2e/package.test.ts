import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { text } from "node:stream/consumers";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import pkg from "../../package.json" with { type: "json" };
import { installationOf, run, showRun, startStack, type CommandResult } from "./stack.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const INSTALL_MS = 240_000;

let dir: string;
let tarball: string;
let env: Record<string, string>;

/** npm with the settings and the cache of the user who runs the tests. */
async function npm(...args: string[]): Promise<CommandResult> {
  const given = Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  const result = await run("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], {
    env: Object.fromEntries(given) as Record<string, string>,
    limitMs: INSTALL_MS,
  });
  if (result.code !== 0) throw new Error(`npm ${args.join(" ")} failed: ${result.stderr}`);
  return result;
}

async function get(socketPath: string, path: string): Promise<string> {
  const asked = request({ socketPath, path }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  return text(response);
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tyger-package-"));
  env = {
    HOME: join(dir, "home"),
    // Not in the cache: that belongs to the user who runs the tests, and has their login.
    TYGER_CACHE_FILE: join(dir, "login"),
    XDG_CACHE_HOME: process.env["XDG_CACHE_HOME"] ?? join(process.env["HOME"] ?? dir, ".cache"),
  };
  await mkdir(env["HOME"] ?? "");
  // The build is there: this test run was prepared with it.
  const { stdout } = await npm("pack", "--ignore-scripts", "--pack-destination", dir);
  tarball = join(dir, stdout.toString().trim().split("\n").at(-1) ?? "");
});
afterAll(async () => {
  // Root's database is in another folder: Postgres' user could not get into this one.
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

    const login = await run(tyger, ["login", "status", "--format", "json"], { env });
    const { serverUrl } = JSON.parse(login.stdout.toString()) as { serverUrl: string };
    expect(serverUrl).toMatch(/^unix:\/\//);
    const socketPath = serverUrl.slice("unix://".length);
    for (const [path, part] of [
      ["/swagger", "<!doctype html>"],
      ["/swagger/swagger-ui-bundle.js", "SwaggerUIBundle"],
      ["/swagger/swagger-ui.css", ".swagger-ui"],
      ["/swagger/v1.0/swagger.yaml", "openapi: 3.0.4"],
    ] as const) {
      expect(await get(socketPath, path)).toContain(part);
    }
  } finally {
    await run(tyger, ["down", "--cancel"], { env, limitMs: 60_000 });
  }
});

/** The package installed by npm in a folder of its own, as in a user's project. */
async function project(name: string): Promise<string> {
  const folder = join(dir, name);
  await mkdir(folder);
  await writeFile(join(folder, "package.json"), JSON.stringify({ name, private: true, type: "module" }));
  await npm("install", "--prefix", folder, tarball);
  await cp(join(ROOT, "node_modules/@types"), join(folder, "node_modules/@types"), { recursive: true });
  return folder;
}

/** The compiler's messages about `programs`, with the declarations of the package alone. */
async function complaintsOn(programs: readonly string[]): Promise<string> {
  const flags = ["--ignoreConfig", "--noEmit", "--strict", "--module", "nodenext", "--target", "esnext"];
  const types = ["--exactOptionalPropertyTypes", "--types", "node", "--skipLibCheck", ...programs];
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  return (await run(process.execPath, [compiler, ...flags, ...types], { env })).stdout.toString();
}

test("installed in a folder, npx finds the command and a TypeScript program its typed signals and queries", async () => {
  const folder = await project("local");
  const path = `${dirname(process.execPath)}:/usr/bin:/bin`;
  const version = await run("sh", ["-c", `cd ${folder} && npx tyger --version`], {
    env: { ...env, PATH: `${path}:${process.env["PATH"] ?? ""}` },
  });
  expect(version.stdout.toString()).toBe(`tyger version ${pkg.version}\n`);

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
  expect(await complaintsOn([program])).toBe("");
  expect((await run(process.execPath, [program], { env })).stdout.toString()).toBe("abc-run-7 cancel currentRun");
});

test("the programs of the documentation compile, and the examples run in a user's project", async () => {
  const folder = await project("programs");
  const programs: string[] = [];
  for (const page of ["README.md", "docs/programs.md"]) {
    const blocks = (await readFile(join(ROOT, page), "utf8")).matchAll(/^```ts\n([^]*?)^```$/gm);
    for (const [, block = ""] of blocks) {
      programs.push(join(folder, `block-${programs.length}.ts`));
      await writeFile(programs.at(-1) ?? "", block);
    }
  }
  expect(programs.length).toBeGreaterThan(7);
  for (const name of ["program.ts", "signal.ts", "result.ts"]) {
    programs.push(join(folder, name));
    await cp(join(folder, "node_modules/tyger/examples", name), join(folder, name));
  }
  expect(await complaintsOn(programs)).toBe("");

  const stack = await startStack();
  try {
    const main = await run(process.execPath, [join(folder, "program.ts")], { env: stack.env, input: "Paul\n" });
    expect({ ...main, stdout: main.stdout.toString() }).toEqual({ code: 0, stdout: "Hello Paul\n", stderr: "" });

    const { stdout } = await stack.tyger(["status"]);
    const [, address = ""] = /^Temporal\s+(\S+)$/m.exec(stdout.toString()) ?? [];
    const args = [join(folder, "signal.ts"), address, await installationOf(stack)];
    const signal = await run(process.execPath, args, { env: stack.env });
    expect(signal.stderr).toBe("");
    expect(signal.stdout.toString()).toMatch(/^run 2: \S[^\n]*\n(run 2: (Running|Canceling)\n)*run 2: Canceled\n$/);
    expect(await showRun(stack, "2")).toMatchObject({ status: "Canceled", statusReason: "Canceled by user" });
    const result = await run(process.execPath, [join(folder, "result.ts"), ...args.slice(1)], { env: stack.env });
    const end = "run 3 is Failed: JobFailed: Main exited with code 3\n";
    expect({ ...result, stdout: result.stdout.toString() }).toEqual({ code: 0, stdout: end, stderr: "" });
  } finally {
    await stack.down();
  }
});

test("the package carries what runs and no more", async () => {
  const { stdout } = await run("tar", ["-tzf", tarball], { env });
  const names = stdout
    .toString()
    .trim()
    .split("\n")
    .map((name) => name.replace(/^package\//, ""));
  const expected = ["README.md", "bin", "db", "dist", "examples", "package.json", "temporal-dev.yaml"];
  expect(new Set(names.map((name) => name.split("/")[0]))).toEqual(new Set(expected));
  expect(names).toEqual(expect.arrayContaining(["dist/cli.js", "dist/client.js", "examples/program.ts"]));
  expect(names).not.toContain("dist/node-path");
});

test("the oldest Node that the package allows can read every program", async () => {
  const oldest = pkg.engines.node.replace(">=", "");
  const prefix = join(dir, "oldest");
  const name = `node-linux-${process.arch}`;
  await npm("install", "--prefix", prefix, "--no-save", `${name}@${oldest}`);
  const node = join(prefix, "node_modules", name, "bin/node");
  const files = (await readdir(join(ROOT, "dist"), { recursive: true })).filter((file) => file.endsWith(".js"));
  const programs = files.filter((file) => !file.startsWith("viewer/") && file !== "workflows.js");
  expect(programs).toContain("supervisor.js");
  for (const program of programs) {
    const { code, stderr } = await run(node, ["--check", join(ROOT, "dist", program)], { env });
    expect([program, code, stderr]).toEqual([program, 0, ""]);
  }
}, 300_000);
