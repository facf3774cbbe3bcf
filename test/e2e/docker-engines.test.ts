import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { eventually } from "../eventually.ts";
import { docker, ENGINE_ENV as env, startEngine } from "./engine.ts";
import { containersOf, createRun, makeStack, run, showRun, startStack, type TestStack } from "./stack.ts";
import { makeUser, whyNoUser, type OrdinaryUser } from "./users.ts";

/** Programs that an engine with user mapping needs. */
const MAPPING = ["dockerd", "docker", "unshare", "newuidmap"];
/** A stack on the engine at `host`: the main job, a cancel in mid-stream, the cleaning up. */
async function useThrough(host: string, user?: OrdinaryUser): Promise<void> {
  const stack = await startStack({ env: { DOCKER_HOST: host }, ...(user && { user }) });
  try {
    await useStack(stack);
  } finally {
    await stack.down();
  }
}

async function useStack(stack: TestStack): Promise<void> {
  const hello = await stack.tyger(["run", "exec", "-f", "examples/hello.yml"], { input: "Ada\n" });
  expect({ code: hello.code, said: hello.stdout.toString(), stderr: hello.stderr }).toMatchObject({
    code: 0,
    said: "Hello Ada\n",
  });
  // As a user of the container's that does not own the pipes.
  const script = 'exec 3> "$OUTPUT_PIPE"; echo begun >&3; echo logged; sleep 600';
  const id = await createRun(stack, "as-nobody", script, { outputs: ["output"] });
  const reading = stack.tyger(["buffer", "read", (await showRun(stack, id)).job.buffers["output"] ?? ""]);
  await eventually(async () => (await stack.tyger(["run", "logs", id])).stdout.toString().includes("logged"));
  expect((await stack.tyger(["run", "cancel", id])).code).toBe(0);
  await eventually(async () => (await showRun(stack, id)).status === "Canceled", { withinMs: 20_000 });
  const { code, stderr } = await reading;
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("permanently failed") });
  await eventually(async () => (await containersOf(stack)).length === 0);
  await eventually(async () => (await readdir(join(stack.dataDir, "runs"))).length === 0);
}

/** An image whose containers run as nobody. */
async function makeNobody(host: string): Promise<void> {
  const made = await docker(host, ["create", inject("testImage")]);
  const container = made.stdout.toString().trim();
  expect((await docker(host, ["commit", "--change", "USER nobody", container, "as-nobody"])).code).toBe(0);
  await docker(host, ["rm", container]);
}

const optionsOf = async (host: string) =>
  (await docker(host, ["info", "--format", "{{.SecurityOptions}}"])).stdout.toString();

test("an engine with --userns-remap works for root's stack and for another user's", async ({ skip }) => {
  const why = whyNoUser(MAPPING);
  skip(why !== undefined, why);
  const user = await makeUser();
  onTestFinished(() => user.remove());
  const home = await mkdtemp(join(tmpdir(), "tyger-engine-"));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  // The containers' root, which is an unprivileged user here, has to get to its file systems.
  await run("chmod", ["711", home], { env });
  const host = `unix://${home}/docker.sock`;
  const engine = await startEngine(host, join(home, "log"), [
    "dockerd",
    "--userns-remap",
    user.name,
    "--host",
    host,
    "--group",
    user.name,
    "--data-root",
    join(home, "data"),
    "--exec-root",
    join(home, "exec"),
    "--pidfile",
    join(home, "pid"),
    "--bridge",
    "none",
    "--iptables=false",
  ]);
  onTestFinished(() => engine.stop());
  expect(await optionsOf(host)).toContain("name=userns");
  await makeNobody(host);

  const uses = [useThrough(host), useThrough(host, user)];
  // None keeps running after a failure.
  await Promise.allSettled(uses);
  await Promise.all(uses);
});

test("a rootless engine works for its own user's stack, and one sentence refuses it for another user's", async ({
  skip,
}) => {
  const why = whyNoUser([...MAPPING, "rootlesskit"]);
  skip(why !== undefined, why);
  const user = await makeUser();
  onTestFinished(() => user.remove());
  const runtimeDir = join(user.home, "r");
  const host = `unix://${runtimeDir}/docker.sock`;
  const inside =
    "rm -f /run/docker /run/containerd /run/xtables.lock; exec dockerd --rootless --bridge none --iptables=false";
  const engine = await startEngine(host, join("/home", `${user.name}/rootless.log`), [
    "setpriv",
    ...user.becoming,
    "env",
    `HOME=${user.home}`,
    `XDG_RUNTIME_DIR=${runtimeDir}`,
    "sh",
    "-c",
    `mkdir -m 700 "$XDG_RUNTIME_DIR" && exec "$@"`,
    "sh",
    "rootlesskit",
    "--net=host",
    "--copy-up=/etc",
    "--copy-up=/run",
    "sh",
    "-c",
    inside,
  ]);
  onTestFinished(() => engine.stop());
  expect(await optionsOf(host)).toContain("name=rootless");
  await makeNobody(host);

  await useThrough(host, user);

  const other = await makeStack({ env: { DOCKER_HOST: host } });
  onTestFinished(() => other.down());
  const { code, stderr } = await other.tyger(["up"], { limitMs: 60_000 });
  const [last, ...rest] = stderr.split("\n").filter((line) => !/ (INF|WRN) /.test(line));
  expect(code).toBe(1);
  expect(last).toMatch(
    /^Error: Named pipes in '.*' do not reach containers of .*; set DOCKER_HOST to an engine that runs on this machine/,
  );
  expect(rest).toEqual([""]);
  expect((await other.tyger(["status"])).stdout.toString()).toContain("The stack is down");
});
