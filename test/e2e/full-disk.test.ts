import { mkdir, readdir } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import { findProgram } from "../../stack/host/programs.ts";
import { eventually } from "../eventually.ts";
import { makeStack, run } from "./stack.ts";

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
