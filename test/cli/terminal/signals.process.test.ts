import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { writeLogin } from "../../../client/login-writer.ts";
import { INTERRUPT_SIGNALS } from "../../../cli/terminal/signals.ts";
import { eventually } from "../../eventually.ts";
import { FakeServer } from "../../fakes/tyger-server.ts";

const ROOT = new URL("../../..", import.meta.url).pathname;
const FAILED = '{"status":"failed"}';

let server: FakeServer;
/** Has the launcher, and in place of the bundle the sources. */
let folder: string;
let env: Record<string, string>;
const started: ChildProcess[] = [];
beforeEach(async () => {
  server = await new FakeServer().start();
  server.codespecs.set("cat", { name: "cat", kind: "job", image: "x", buffers: { inputs: ["in"] } });
  server.job = () => new Promise(() => undefined);
  writeLogin(server.loginFile, { serverUrl: `http+unix://${server.socketPath}:` });
  folder = await mkdtemp(join(tmpdir(), "tyger-signals-"));
  await mkdir(join(folder, "bin"));
  await mkdir(join(folder, "dist"));
  await copyFile(join(ROOT, "bin/tyger"), join(folder, "bin/tyger"));
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  await writeFile(join(folder, "dist/cli.js"), `await import("${ROOT}cli/main.ts")`);
  await writeFile(join(folder, "dist/node-path"), `${process.execPath}\n`);
  env = { PATH: `${join(folder, "bin")}:${process.env["PATH"]}`, TYGER_CACHE_FILE: server.loginFile };
});
afterEach(async () => {
  for (const { pid } of started.splice(0)) {
    try {
      // The whole group, with what its shell started.
      if (pid !== undefined) process.kill(-pid, "SIGKILL");
    } catch {
      // It has ended, as it should.
    }
  }
  await server.stop();
  await rm(folder, { recursive: true });
});

interface Started {
  child: ChildProcess;
  stderr: () => string;
  ended: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
}

/** Runs a shell line in a process group of its own. Its stdin stays open. */
function shell(line: string): Started {
  const child = spawn("bash", ["--norc", "-c", line], { env, detached: true, stdio: "pipe" });
  started.push(child);
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return { child, stderr: () => stderr, ended: once(child, "close") as Started["ended"] };
}

/** Whether no signal is pending, and the process waits for something else to happen. One that has ended has, too. */
async function hasHandledSignals(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return status === "" || (/^ShdPnd:\s*0+$/m.test(status) && /^State:\s*[SZ]/m.test(status));
}

const takesInput = (): Promise<unknown> => eventually(() => server.blobs.has("bin/.bufferstart"));
const endMark = (id: string): string | undefined => server.blobs.get(`${id}/.bufferend`)?.bytes.toString();
const cancels = (): number => server.requests("POST", /^\/runs\/7\/cancel/).length;

describe("run exec", () => {
  test.each(INTERRUPT_SIGNALS)("cancels its run on %s, and then ends by that signal", async (signal) => {
    const { child, stderr, ended } = shell("exec tyger run exec -c cat");
    await takesInput();
    child.kill(signal);
    expect(await ended).toEqual([null, signal]);
    expect(cancels()).toBe(1);
    expect(endMark("bin")).toBe(FAILED);
    expect(stderr()).toMatch(/WRN "?Canceling\.\.\./);
    expect(stderr()).not.toContain("Debugger");
    expect(stderr().match(/^.*nohup.*$/gm) ?? []).toHaveLength(signal === "SIGHUP" ? 1 : 0);
  });

  test("stops the loop of a shell on Ctrl-C", async () => {
    const { child, ended } = shell("for i in 1 2 3; do tyger run exec -c cat; done");
    await takesInput();
    process.kill(-(child.pid ?? 0), "SIGINT");
    expect(await ended).toEqual([null, "SIGINT"]);
    expect(server.requests("POST", /^\/runs\?/)).toHaveLength(1);
  });

  test("continues under nohup when the terminal closes", async () => {
    server.job = async () => ({});
    const { child, stderr, ended } = shell("exec nohup tyger run exec -c cat");
    await takesInput();
    child.kill("SIGHUP");
    child.stdin?.end("whole");
    expect(await ended).toEqual([0, null]);
    expect(endMark("bin")).toBe('{"status":"complete"}');
    expect(stderr()).not.toContain("Canceling");
  });

  test("ends at once on a second signal, while the cancel is under way", async () => {
    server.on("POST", /cancel/, () => undefined);
    const { child, ended } = shell("exec tyger run exec -c cat");
    await takesInput();
    child.kill("SIGINT");
    await eventually(() => cancels() === 1);
    child.kill("SIGTERM");
    expect(await ended).toEqual([null, "SIGTERM"]);
  });

  test("finishes its cancel when a closing terminal sends SIGHUP again", async () => {
    server.on("POST", /cancel/, async (_, response) => {
      child.kill("SIGHUP");
      await eventually(() => hasHandledSignals(child.pid ?? 0));
      server.changeRun({ status: "Canceled" });
      response.writeHead(202).end(JSON.stringify(server.run));
    });
    const { child, stderr, ended } = shell("exec tyger run exec -c cat");
    await takesInput();
    child.kill("SIGHUP");
    expect(await ended).toEqual([null, "SIGHUP"]);
    expect(stderr()).toContain("runId=7 status=Canceled");
  });

  test.each([
    ["whose input is a pipe", "sleep 100 | tyger run exec -c cat"],
    ["whose input is typed", "tyger run exec -c cat"],
    // The program learns of it from its input only, before the shell passes the signal on.
    ["whose shell is slow", "trap : HUP; tyger run exec -c cat"],
  ])("%s cancels its run when its terminal closes", async (_name, line) => {
    const log = join(folder, "log");
    // The second command keeps the shell between the terminal and the program, as on a real one.
    const inner = `exec bash --norc -c "${line} 2> ${log}; true"`;
    const { child } = shell(`exec script -qec '${inner}' /dev/null`);
    await takesInput();
    child.stdin?.write("some\n");
    if (line.startsWith("tyger"))
      await eventually(() => [...server.blobs.keys()].some((path) => path.startsWith("bin/0")));
    child.kill("SIGKILL");
    await eventually(() => cancels() === 1 && endMark("bin") === FAILED);
    await eventually(async () => (await readFile(log, "utf8")).includes("Cancel requested"));
    expect(await readFile(log, "utf8")).toContain("nohup");
  });
});

describe("a command that handles no signal", () => {
  test.each(["SIGUSR1", "SIGUSR2", "SIGHUP", "SIGINT"] as const)("dies of %s", async (signal) => {
    server.run = { id: 7, status: "Running" };
    const { child, stderr, ended } = shell("exec tyger run watch 7");
    await eventually(() => server.requests("GET", /watch/).length === 1);
    child.kill(signal);
    expect(await ended).toEqual([null, signal]);
    expect(stderr()).toBe("");
  });

  test("continues under nohup", async () => {
    server.run = { id: 7, status: "Running" };
    const { child, ended } = shell("exec nohup tyger run watch 7");
    await eventually(() => server.requests("GET", /watch/).length === 1);
    child.kill("SIGHUP");
    server.changeRun({ status: "Succeeded" });
    expect(await ended).toEqual([0, null]);
  });
});

test("a buffer write that is interrupted leaves its buffer marked failed, and ends by the signal", async () => {
  const { child, stderr, ended } = shell("exec tyger buffer write b1");
  await eventually(() => server.blobs.has("b1/.bufferstart"));
  child.kill("SIGHUP");
  expect(await ended).toEqual([null, "SIGHUP"]);
  expect(endMark("b1")).toBe(FAILED);
  expect(stderr()).toContain("nohup");
});

test("SIGUSR1 starts no debugger, however early it arrives", async () => {
  for (let delayMs = 0; delayMs < 40; delayMs += 4) {
    const { child, stderr, ended } = shell("exec tyger run watch 7");
    // The signal is sent at a random moment of the start, on purpose.
    setTimeout(() => child.kill("SIGUSR1"), delayMs);
    await ended;
    expect(stderr()).not.toContain("Debugger listening");
  }
});
