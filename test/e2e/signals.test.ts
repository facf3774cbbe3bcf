import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { eventually } from "../eventually.ts";
import { containersOf, pidOf, run, showRun, startStack, type TestStack } from "./stack.ts";

let stack: TestStack;
let file: string;
beforeAll(async () => {
  stack = await startStack();
  file = join(stack.env["HOME"] ?? "", "cat.yml");
  const buffers = { inputs: ["input"], outputs: ["output"] };
  const command = ["bash", "-c", 'cat "$INPUT_PIPE" > "$OUTPUT_PIPE"'];
  await writeFile(
    file,
    JSON.stringify({ job: { codespec: { kind: "job", image: inject("testImage"), buffers, command } } }),
  );
});
const started: ChildProcess[] = [];
afterAll(async () => {
  for (const child of started) {
    try {
      process.kill(-(child.pid ?? 0), "SIGKILL");
    } catch {
      // It has ended, as it should.
    }
  }
  await stack?.down();
});

/** Starts a shell line in a process group of its own, as a terminal does; its stdin stays open. */
function shell(line: string) {
  const child = spawn("bash", ["--norc", "-c", line], { env: stack.env, detached: true, stdio: "pipe" });
  started.push(child);
  let stderr = "";
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = once(child, "close") as Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  return { child, stderr: () => stderr, stdout: () => stdout, ended };
}

/** The run that a command's log names, once its job is running. */
async function runningIn(log: () => string | Promise<string>): Promise<string> {
  const created = await eventually(async () => /Run created runId=(\d+)/.exec(await log()), { withinMs: 30_000 });
  const [, id] = created;
  if (id === undefined) throw new Error("no run was created");
  await eventually(async () => (await containersOf(stack, Number(id))).length === 1, { withinMs: 30_000 });
  return id;
}

const statusOf = async (id: string): Promise<string> => (await showRun(stack, id)).status;
const countOfRuns = async (): Promise<number> =>
  (JSON.parse((await stack.tyger(["run", "list"])).stdout.toString()) as unknown[]).length;

describe("run exec", () => {
  test("whose terminal closes cancels its run, which would wait for input forever", async () => {
    const log = join(stack.env["HOME"] ?? "", "terminal.log");
    const inner = `exec bash --norc -c "tyger run exec -f ${file} 2> ${log}; true"`;
    const { child } = shell(`exec script -qec '${inner}' /dev/null`);
    const id = await runningIn(() => readFile(log, "utf8").catch(() => ""));
    child.kill("SIGKILL");
    await eventually(async () => (await statusOf(id)) === "Canceled", { withinMs: 30_000 });
    expect(await readFile(log, "utf8")).toMatch(/Canceling\.\.\. The terminal was closed .*nohup/);
    await eventually(async () => (await containersOf(stack, Number(id))).length === 0, { withinMs: 30_000 });
  });

  test("under nohup continues after SIGHUP", async () => {
    const { child, stderr, stdout, ended } = shell(`exec nohup tyger run exec -f ${file}`);
    await runningIn(stderr);
    child.kill("SIGHUP");
    child.stdin.end("whole");
    expect(await ended).toEqual([0, null]);
    expect(stdout()).toBe("whole");
  });

  test("in a shell loop ends the loop on Ctrl-C", async () => {
    const before = await countOfRuns();
    const { child, stderr, ended } = shell(`for i in 1 2 3; do tyger run exec -f ${file}; done`);
    const id = await runningIn(stderr);
    process.kill(-(child.pid ?? 0), "SIGINT");
    expect(await ended).toEqual([null, "SIGINT"]);
    expect(await countOfRuns()).toBe(before + 1);
    await eventually(async () => (await statusOf(id)) === "Canceled", { withinMs: 30_000 });
  });

  test.each(["SIGUSR1", "SIGUSR2", "SIGTERM", "SIGQUIT"] as const)("cancels its run on %s", async (signal) => {
    const { child, stderr, ended } = shell(`exec tyger run exec -f ${file}`);
    const id = await runningIn(stderr);
    child.kill(signal);
    expect(await ended).toEqual([null, signal]);
    expect(stderr()).not.toContain("Debugger");
    await eventually(async () => (await statusOf(id)) === "Canceled", { withinMs: 30_000 });
  });
});

test("the servers and the pump ignore SIGUSR1 and SIGUSR2, which a batch system sends to all of a job", async () => {
  const { child, stderr, stdout, ended } = shell(`exec tyger run exec -f ${file}`);
  const id = await runningIn(stderr);
  const pump = await run("pgrep", ["-f", `pump.js ${stack.dataDir}/runs/${id}-`], { env: stack.env });
  const names = ["supervisor", "api", "worker"];
  const pids = await Promise.all(names.map((name) => pidOf(stack, name)));
  const all = [...pids, ...pump.stdout.toString().trim().split("\n").map(Number)];
  expect(all).toHaveLength(4);
  for (const pid of all) for (const signal of ["SIGUSR1", "SIGUSR2"] as const) process.kill(pid, signal);
  child.stdin.end("whole");
  expect(await ended).toEqual([0, null]);
  expect(stdout()).toBe("whole");
  expect(await Promise.all(names.map((name) => pidOf(stack, name)))).toEqual(pids);
  for (const name of names) {
    expect(await readFile(join(stack.dataDir, "state", `${name}.log`), "utf8")).not.toContain("Debugger listening");
  }
});
