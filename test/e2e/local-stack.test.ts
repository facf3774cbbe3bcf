import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { readStackConfig } from "../../config/stack.ts";
import { controlSocketOf, serveControl } from "../../stack/supervisor/control.ts";
import { stackNameOf } from "../../stack/docker/engine-claims.ts";
import { makeFolders } from "../../stack/folders.ts";
import { findInstallation, versionOf } from "../../stack/host/installation.ts";
import { tryLock } from "../../waiting/kernel-lock.ts";
import { writeProcessRecord } from "../../stack/supervisor/process-record.ts";
import { identify } from "../../stack/host/processes.ts";
import { eventually } from "../eventually.ts";
import { installationOf, makeStack, pidOf, run, startStack, type TestStack } from "./stack.ts";

let stack: TestStack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack?.down();
});

const statusOf = async (of: TestStack) => (await of.tyger(["status"])).stdout.toString();

/** Runs the main job once. */
async function sayHello(of: TestStack): Promise<{ code: number | null; said: string }> {
  const { code, stdout, stderr } = await of.tyger(["run", "exec", "-f", "examples/hello.yml"], { input: "Ada\n" });
  return { code, said: code === 0 ? stdout.toString() : stderr };
}
const HELLO = { code: 0, said: "Hello Ada\n" };

test("up logs in, and a second up changes nothing", async () => {
  const login = await readFile(stack.env["TYGER_CACHE_FILE"] ?? "", "utf8");
  expect(login).toMatch(/^serverUrl: '?http\+unix:\/\/\/.*api\.sock:'?$/m);
  const before = await statusOf(stack);
  const { code, stdout } = await stack.tyger(["up"]);
  expect({ code, stdout: stdout.toString() }).toEqual({ code: 0, stdout: "" });
  expect(await statusOf(stack)).toBe(before);
});

test("the built command prints lists as YAML, and reads a login file that another program wrote", async () => {
  await stack.tyger(["codespec", "create", "listed", "--image", "ubuntu"]);
  const { stdout, stderr } = await stack.tyger(["codespec", "list", "-o", "yaml"]);
  expect({ stderr, list: parse(stdout.toString()) }).toMatchObject({ stderr: "", list: [{ name: "listed" }] });

  const ours: unknown = parse(await readFile(stack.env["TYGER_CACHE_FILE"] ?? "", "utf8"));
  const theirs = join(stack.dataDir, "login.yml");
  await writeFile(theirs, `# by hand\n${JSON.stringify(ours)}\n`);
  const env = { ...stack.env, TYGER_CACHE_FILE: theirs };
  expect(await run("tyger", ["login", "status"], { env })).toMatchObject({ code: 0, stderr: "" });
});

test.each(["api", "worker"])("the log of the %s is JSON with the keys of the contract", async (name) => {
  const log = await readFile(join(stack.dataDir, "state", `${name}.log`), "utf8");
  const lines = log.trimEnd().split("\n");
  for (const line of lines) {
    expect(JSON.parse(line)).toMatchObject({
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      level: expect.stringMatching(/^[a-z]+$/),
      category: name,
      message: expect.any(String),
    });
  }
});

test("calls of up at the same time end with one stack", async () => {
  const calls = await Promise.all([stack.tyger(["up"]), stack.tyger(["up"]), stack.tyger(["up"])]);
  expect(calls.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect(await sayHello(stack)).toEqual(HELLO);
});

test.each(["postgres", "temporal", "api", "worker"])("kill -9 of %s: it is back, and the stack works", async (name) => {
  const pid = await pidOf(stack, name);
  process.kill(pid, "SIGKILL");
  await eventually(async () => (await stack.tyger(["status"])).code === 0 && (await pidOf(stack, name)) !== pid, {
    withinMs: 30_000,
    everyMs: 200,
  });
  expect(await sayHello(stack)).toEqual(HELLO);
});

test("kill -9 of the supervisor: the next up ends what it left and starts a whole stack with the same data", async () => {
  const installation = await installationOf(stack);
  const left = await pidOf(stack, "api");
  process.kill(await pidOf(stack, "supervisor"), "SIGKILL");
  expect((await stack.tyger(["status"])).stdout.toString()).toContain("The stack is down");
  expect((await stack.tyger(["up"], { limitMs: 120_000 })).code).toBe(0);
  expect(await pidOf(stack, "api")).not.toBe(left);
  expect(await installationOf(stack)).toBe(installation);
  expect(await sayHello(stack)).toEqual(HELLO);
});

test("two stacks work side by side, and down of one leaves the other alone", async () => {
  const other = await startStack();
  try {
    expect(await installationOf(other)).not.toBe(await installationOf(stack));
    expect(await Promise.all([sayHello(other), sayHello(stack)])).toEqual([HELLO, HELLO]);
  } finally {
    await other.down();
  }
  expect(await sayHello(stack)).toEqual(HELLO);
});

test("down keeps the data for the next up", async () => {
  const list = async () => (await stack.tyger(["run", "list"])).stdout.toString();
  const before = await list();
  const supervisor = await pidOf(stack, "supervisor");
  expect((await stack.tyger(["down"])).code).toBe(0);
  expect(identify(supervisor)).toBeUndefined();
  const failed = await stack.tyger(["run", "list"]);
  expect(failed.code).toBe(1);
  expect((await stack.tyger(["up"], { limitMs: 120_000 })).code).toBe(0);
  expect(await list()).toBe(before);
});

test("an up that is interrupted stops what it had started", async () => {
  await stack.tyger(["down"]);
  const line = [
    "tyger up 2> $HOME/up.log & pid=$!",
    "until grep -q 'starting Postgres' $HOME/up.log; do sleep 0.05; done",
    "kill -TERM $pid; wait $pid; echo code=$?; cat $HOME/up.log; tyger status",
  ].join("; ");
  const { stdout } = await stack.shell(line);
  // It ends by the signal that it handled: 128 + 15.
  expect(stdout.toString()).toMatch(/^code=143\n(.*\n)*Error: the command was interrupted\nThe stack is down\.\n/);
  expect((await stack.tyger(["up"], { limitMs: 120_000 })).code).toBe(0);
});

/** Less than `up` waits for a process that does not become ready. */
const AT_ONCE_MS = 60_000;

test("an up whose supervisor ends reports it at once, in the supervisor's words", async () => {
  const other = await makeStack();
  onTestFinished(() => other.down());
  // With it the supervisor that `up` starts is one too many.
  await using _held = await tryLock(`supervisor-${stackNameOf(readStackConfig(other.env).paths)}`);
  const { code, stderr } = await other.tyger(["up"], { limitMs: AT_ONCE_MS });
  expect({ code, last: stderr.trimEnd().split("\n").at(-1) }).toEqual({
    code: 1,
    last: expect.stringMatching(/^Error: The supervisor did not start; the end of '.*' is: Error: Another supervisor/),
  });
});

test("an up that waits for another up's supervisor reports at once that the supervisor ended", async () => {
  const other = await makeStack();
  onTestFinished(() => other.down());
  const config = readStackConfig(other.env);
  makeFolders(config);
  const supervisor = spawn("sleep", ["600"], { stdio: "ignore" });
  onTestFinished(() => void supervisor.kill("SIGKILL"));
  const identity = identify(supervisor.pid ?? 0);
  if (!identity) throw new Error("The supervisor did not start");
  const controlSocket = controlSocketOf(config.paths.runtimeDir);
  writeProcessRecord(config.paths.stateDir, { controlSocket, supervisor: identity, processes: {} });
  const asked = Promise.withResolvers<void>();
  let questions = 0;
  const control = await serveControl(controlSocket, async () => {
    // The first one decides that there is nothing to start.
    if (++questions > 1) asked.resolve();
    const version = versionOf(findInstallation());
    return { version, pid: identity.pid, isReady: false, dockerHost: "", apiSocket: "", processes: [] };
  });
  const up = other.tyger(["up"], { limitMs: AT_ONCE_MS });
  await asked.promise;
  control.close();
  supervisor.kill("SIGKILL");
  await once(supervisor, "exit");
  const { code, stderr } = await up;
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^Error: The supervisor ended/m) });
});

test("up names an engine that does not answer, in one line", async () => {
  await stack.tyger(["down"]);
  const { code, stderr } = await stack.shell("DOCKER_HOST=tcp://127.0.0.1:1 tyger up");
  expect(code).toBe(1);
  expect(stderr).toContain(
    "Error: The Docker engine at 'tcp://127.0.0.1:1' cannot be used: nothing is listening there",
  );
  expect((await stack.tyger(["up"], { limitMs: 120_000 })).code).toBe(0);
  expect(await sayHello(stack)).toEqual(HELLO);
});

test("up refuses a socket folder that other users can write to", async () => {
  const line = "mkdir -p $HOME/shared/tyger && chmod 777 $HOME/shared/tyger && XDG_RUNTIME_DIR=$HOME/shared tyger up";
  const { code, stderr } = await stack.shell(line);
  expect({ code, stderr }).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^Error: Other users can write to '.*'.*\n$/),
  });
});
