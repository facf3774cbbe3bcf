import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findProgram } from "../../stack/host/programs.ts";
import { eventually } from "../eventually.ts";
import { makeStack, pidOf, run } from "./stack.ts";

const env = { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin" };
const whyNoMount = (): string | undefined => {
  if (process.getuid?.() !== 0) return "only root can mount";
  return findProgram("mount", env.PATH) ? undefined : "there is no program 'mount'";
};

test("up reports a full disk in one sentence and leaves nothing running; with room it works", async ({ skip }) => {
  const why = whyNoMount();
  skip(why !== undefined, why);
  const stack = await makeStack();
  await mkdir(stack.dataDir);
  // Refused while any process works or writes there; one that is told to end takes its moment.
  const unmount = () => eventually(async () => (await run("umount", [stack.dataDir], { env })).code === 0);
  const mounted = await run("mount", ["-t", "tmpfs", "-o", "size=20m,mode=0711", "tmpfs", stack.dataDir], { env });
  skip(mounted.code !== 0, mounted.stderr.trim());
  onTestFinished(async () => {
    await stack.tyger(["down", "--cancel"]);
    await unmount();
    await stack.down();
  });

  const { code, stdout, stderr } = await stack.tyger(["up"]);
  expect({ code, stdout: stdout.toString() }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(
    /^Error: The disk of '.*' has \d+ MiB free and the stack needs 64; free some space, or set .*\n$/,
  );
  expect((await stack.tyger(["status"])).stdout.toString()).toContain("The stack is down");
  expect(await readdir(stack.dataDir)).toEqual(["state"]);

  await unmount();
  await run("mount", ["-t", "tmpfs", "-o", "size=600m,mode=0711", "tmpfs", stack.dataDir], { env });
  expect(await stack.tyger(["up"], { limitMs: 120_000 })).toMatchObject({ code: 0 });
  const hello = await stack.tyger(["run", "exec", "-f", "examples/hello.yml"], { input: "Ada\n" });
  expect({ code: hello.code, said: hello.stdout.toString() }).toEqual({ code: 0, said: "Hello Ada\n" });
});

test("a full log disk stops no process, and a worker that dies meanwhile serves runs again", async ({ skip }) => {
  const why = whyNoMount();
  skip(why !== undefined, why);
  const stack = await makeStack();
  const logs = join(stack.dataDir, "state");
  await mkdir(logs, { recursive: true });
  const mounted = await run("mount", ["-t", "tmpfs", "-o", "size=64m,mode=0711", "tmpfs", logs], { env });
  skip(mounted.code !== 0, mounted.stderr.trim());
  onTestFinished(async () => {
    await stack.tyger(["down", "--cancel"]);
    await eventually(async () => (await run("umount", [logs], { env })).code === 0);
    await stack.down();
  });
  expect(await stack.tyger(["up"], { limitMs: 120_000 })).toMatchObject({ code: 0 });
  const sayHello = async (): Promise<void> => {
    const { code, stdout } = await stack.tyger(["run", "exec", "-f", "examples/hello.yml"], { input: "Ada\n" });
    expect({ code, said: stdout.toString() }).toEqual({ code: 0, said: "Hello Ada\n" });
  };
  await sayHello();
  const pids = async () => Promise.all(["api", "temporal", "postgres"].map((name) => pidOf(stack, name)));
  const before = await pids();

  const filled = join(logs, "filler");
  // It fills the disk to the last byte, and says that it is full.
  expect((await run("dd", ["if=/dev/zero", `of=${filled}`, "bs=64k"], { env })).code).toBe(1);
  const worker = await pidOf(stack, "worker");
  for (let count = 0; count < 3; count += 1) await sayHello();
  expect(await pidOf(stack, "worker")).toBe(worker);
  process.kill(worker, "SIGKILL");
  await sayHello();
  expect(await pids()).toEqual(before);

  await rm(filled);
  await eventually(async () => !(await stack.tyger(["status"])).stdout.toString().includes("starting"));
  await sayHello();
  // The worker's log can have one torn line, at its kill.
  const lines = (await readFile(join(logs, "api.log"), "utf8")).trimEnd().split("\n");
  for (const line of lines) JSON.parse(line);
});
