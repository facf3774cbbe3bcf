import { readFile, readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { readStackConfig } from "../../config/stack.ts";
import { engineAt } from "../../stack/docker/docker-engine.ts";
import { usersOf } from "../../stack/docker/engine-claims.ts";
import { eventually } from "../eventually.ts";
import { containersOf, createRun, installationOf, run, showRun, startStack, type TestStack } from "./stack.ts";
import { makeUser, whyNoUser, type OrdinaryUser } from "./users.ts";

const HOLDS_ITS_PIPE = 'exec 3> "$OUTPUT_PIPE"; echo begun >&3; sleep 600';
const OUTPUT = { outputs: ["output"] };

/** The paths below `folders` that the user can read or write. */
async function openTo(user: OrdinaryUser, folders: string[]): Promise<string[]> {
  const found = ["(", "-readable", "-o", "-writable", ")", "-not", "-type", "l"];
  const listed = await run("setpriv", [...user.becoming, "find", ...folders, ...found], {
    env: { PATH: "/usr/bin:/bin" },
  });
  return listed.stdout.toString().split("\n").filter(Boolean);
}

/** The folders of pipes that the stack's jobs have at this moment, which every user can read in the command lines of their pumps. */
async function pipeFoldersOf(stack: TestStack): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  const folders = commands.flatMap((command) =>
    command.split("\0").filter((word) => word.startsWith(`${stack.dataDir}/runs/`)),
  );
  return folders.map((folder) => join(folder, "pipes"));
}

test("two users with a stack each on one engine cannot see, read, write or end each other's runs", async ({ skip }) => {
  const why = whyNoUser(["docker"]);
  skip(why !== undefined, why);
  // The engine is open to this group, by whatever name and number; a stack of root needs none.
  const user = await makeUser("docker");
  onTestFinished(() => user.remove());
  const [ours, theirs] = await Promise.all([startStack(), startStack({ user })]);
  onTestFinished(() => theirs.down());
  onTestFinished(() => ours.down());
  expect(await installationOf(ours)).not.toBe(await installationOf(theirs));

  // Each supervisor holds a claim on the engine that both can see; root, who may have started it, sees whose.
  const users = usersOf(engineAt("unix:///var/run/docker.sock"));
  for (const { env } of [ours, theirs]) {
    const { uid } = await stat(env["HOME"] ?? "");
    const hash = basename(readStackConfig(env, uid).paths.runtimeDir);
    expect(users).toContainEqual({ stack: `${hash}-${uid}`, uid });
  }

  const hello = (stack: TestStack, name: string) =>
    stack.tyger(["run", "exec", "-f", "examples/hello.yml"], { input: `${name}\n` });
  const said = await Promise.all([hello(ours, "Ada"), hello(theirs, "Bob")]);
  expect(said.map(({ stdout }) => stdout.toString())).toEqual(["Hello Ada\n", "Hello Bob\n"]);

  const image = inject("testImage");
  const [our, their] = await Promise.all([
    createRun(ours, image, HOLDS_ITS_PIPE, OUTPUT),
    createRun(theirs, image, HOLDS_ITS_PIPE, OUTPUT),
  ]);
  const isRunning = async (stack: TestStack, id: string) => (await showRun(stack, id)).status === "Running";
  await eventually(() => isRunning(ours, our));
  await eventually(() => isRunning(theirs, their));

  // Both have a run 2: a number names a run of one's own only.
  expect(our).toBe(their);
  const buffer = (await showRun(ours, our)).job.buffers["output"] ?? "";
  expect((await theirs.tyger(["buffer", "show", buffer])).stderr).toContain("NotFound");
  const socket = /^API +http\+unix:\/\/(.*):$/m.exec((await ours.tyger(["status"])).stdout.toString())?.[1] ?? "";
  expect((await theirs.shell(`TYGER_CACHE_FILE=$HOME/other tyger login http+unix://${socket}:`)).stderr).toMatch(
    /EACCES|permission denied/i,
  );

  const pipes = await pipeFoldersOf(ours);
  expect(pipes).toHaveLength(1);
  expect(await openTo(user, [...pipes, ours.dataDir, ours.env["XDG_RUNTIME_DIR"] ?? ""])).toEqual([]);
  const stranger = await makeUser();
  onTestFinished(() => stranger.remove());
  const theirPipes = await pipeFoldersOf(theirs);
  expect(theirPipes).toHaveLength(1);
  expect(await openTo(stranger, [...theirPipes, theirs.dataDir, user.socketDir])).toEqual([]);

  await theirs.tyger(["run", "cancel", their]);
  await eventually(async () => (await showRun(theirs, their)).status === "Canceled", { withinMs: 20_000 });
  expect(await isRunning(ours, our)).toBe(true);
  expect((await theirs.tyger(["down", "--cancel"])).code).toBe(0);
  expect(await isRunning(ours, our)).toBe(true);
  expect(await containersOf(ours, Number(our))).toHaveLength(1);
});
