import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { finished } from "node:stream/promises";
import { processesIn } from "../../stack/host/processes.ts";
import type { OrdinaryUser } from "./users.ts";

const ROOT = resolve(import.meta.dirname, "../..");

export interface CommandResult {
  code: number | null;
  stdout: Buffer;
  stderr: string;
}

export interface StackOptions {
  /** Besides what every test stack has. */
  env?: Record<string, string>;
  /** The owner of the stack, with nothing set but their home; by default the user who runs the tests. */
  user?: OrdinaryUser;
  /** Prepares the stack's data folder. */
  beforeUp?: (dataDir: string) => Promise<void>;
}

export interface TestStack {
  env: Record<string, string>;
  dataDir: string;
  /** Runs `bin/tyger` with the stack's environment and no other. */
  tyger(args: readonly string[], options?: { input?: string | Buffer; limitMs?: number }): Promise<CommandResult>;
  /** Runs a shell line in which `tyger` is the command of this stack. */
  shell(line: string, options?: { limitMs?: number }): Promise<CommandResult>;
  down(): Promise<void>;
}

/** A stack of its own in a temporary folder, up and logged in. */
export async function startStack(options: StackOptions = {}): Promise<TestStack> {
  const stack = await makeStack(options);
  await options.beforeUp?.(stack.dataDir);
  const up = await stack.tyger(["up"], { limitMs: 180_000 });
  if (up.code === 0) return stack;
  // The error to report is the first one, even where something is mounted in the folder.
  await stack.down().catch(() => {});
  throw new Error(`tyger up failed: ${up.stderr}`);
}

/** As startStack, before its first `tyger up`. */
export async function makeStack({ env: more, user }: StackOptions = {}): Promise<TestStack> {
  const home = user?.home ?? (await mkdtemp(join(tmpdir(), "tyger-e2e-")));
  // As root the stack's Postgres runs as another user, who has to get to its data.
  if (!user) await chmod(home, 0o711);
  const binDir = join(home, "bin");
  const places: Record<string, string> = {
    TYGER_DATA_DIR: join(home, "data"),
    TYGER_CACHE_FILE: join(home, "login"),
    // Downloads are shared by all stacks.
    XDG_CACHE_HOME: process.env["XDG_CACHE_HOME"] ?? join(process.env["HOME"] ?? home, ".cache"),
    XDG_RUNTIME_DIR: join(home, "r"),
  };
  const env: Record<string, string> = {
    PATH: `${binDir}:${process.env["PATH"] ?? "/usr/bin:/bin"}`,
    HOME: home,
    ...(user ? {} : places),
    ...more,
  };
  await mkdir(binDir, { recursive: true });
  await symlink(join(ROOT, "bin/tyger"), join(binDir, "tyger"));
  const start = (program: string, args: readonly string[], options: object = {}) =>
    user
      ? run("setpriv", [...user.becoming, program, ...args], { env, ...options })
      : run(program, args, { env, ...options });
  const stack: TestStack = {
    env,
    dataDir: env["TYGER_DATA_DIR"] ?? join(home, ".local/share/tyger"),
    tyger: (args, options) => start(join(binDir, "tyger"), args, options),
    shell: (line, options) => start("bash", ["-c", line], options),
    async down() {
      const canceled = await stack.tyger(["down", "--cancel"], { limitMs: 90_000 });
      if (canceled.code !== 0) await endByForce(stack);
      // A user's home goes with the user.
      if (!user) await rm(home, { recursive: true, force: true });
    },
  };
  return stack;
}

/** A copy of the package that a test can change, in the stack's home; gives its folder. */
export async function copyPackage(stack: TestStack, name: string): Promise<string> {
  const folder = join(stack.env["HOME"] ?? "", name);
  await mkdir(folder);
  for (const part of ["bin", "db", "dist", "package.json", "temporal-dev.yaml"]) {
    await cp(join(ROOT, part), join(folder, part), { recursive: true });
  }
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return folder;
}

/** Ends all that a stack whose runs do not end would leave behind: its processes, its containers and their pumps. */
async function endByForce(stack: TestStack): Promise<void> {
  const containers = await containersOf(stack).catch(() => []);
  await stack.tyger(["down"], { limitMs: 60_000 });
  if (containers.length > 0) await run("docker", ["rm", "--force", ...containers], { env: stack.env });
  // Those of further clusters are in `runs-NAME`.
  for (const runs of (await readdir(stack.dataDir).catch(() => [])).filter((name) => /^runs(?:-|$)/.test(name))) {
    for (const id of await readdir(join(stack.dataDir, runs)).catch(() => [])) {
      for (const attempt of await readdir(join(stack.dataDir, runs, id)).catch(() => [])) {
        for (const { pid } of processesIn(join(stack.dataDir, runs, id, attempt))) process.kill(pid, "SIGKILL");
      }
    }
  }
}

/** Runs a program to its end; one that does not end within the limit is killed and fails the caller. */
export async function run(
  program: string,
  args: readonly string[],
  options: {
    env: Record<string, string>;
    input?: string | Buffer;
    limitMs?: number;
    onStderr?: ((text: string) => void) | undefined;
  },
): Promise<CommandResult> {
  const child = spawn(program, args, { env: options.env, cwd: ROOT, stdio: ["pipe", "pipe", "pipe"] });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => {
    err.push(chunk);
    options.onStderr?.(chunk.toString());
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, options.limitMs ?? 60_000);
  try {
    const code = await new Promise<number | null>((settle, fail) => {
      child.once("error", fail);
      child.once("exit", settle);
    });
    await Promise.all([finished(child.stdout), finished(child.stderr)]);
    const stderr = Buffer.concat(err).toString();
    if (late) throw new Error(`${program} ${args.join(" ")} did not end in time: ${stderr}`);
    return { code, stdout: Buffer.concat(out), stderr };
  } finally {
    clearTimeout(timer);
  }
}

/** The containers of all runs of this stack that the engine still knows. */
export async function containersOf(stack: TestStack, runId?: number): Promise<string[]> {
  const filter = runId === undefined ? "label=tyger-run" : `label=tyger-run=${runId}`;
  const installation = `label=tyger-installation=${await installationOf(stack)}`;
  const listed = await run("docker", ["ps", "-aq", "--filter", filter, "--filter", installation], { env: stack.env });
  return listed.stdout.toString().split("\n").filter(Boolean);
}

export interface Engines {
  /** postgres:// URL up to the name of the database. */
  postgres: string;
  /** host:port */
  temporal: string;
}

/** Where the embedded engines of a stack are. */
export async function enginesOf({ dataDir }: Pick<TestStack, "dataDir">): Promise<Engines> {
  const ports = JSON.parse(await readFile(join(dataDir, "state/ports.json"), "utf8")) as Record<string, number>;
  const password = (await readFile(join(dataDir, "postgres/password"), "utf8")).trim();
  return {
    postgres: `postgres://postgres:${password}@127.0.0.1:${ports["postgres"]}/`,
    temporal: `127.0.0.1:${ports["temporal"]}`,
  };
}

/** The installation id, as the status page names it. */
export async function installationOf(stack: TestStack): Promise<string> {
  const status = await stack.tyger(["status"]);
  const [, id] = /installation\s+([a-z2-7]{10})/.exec(status.stdout.toString()) ?? [];
  if (id === undefined) throw new Error(`The status names no installation: ${status.stdout.toString()}`);
  return id;
}

/** The pid of a process of the stack, as its status page names it. */
export async function pidOf(stack: TestStack, name: string): Promise<number> {
  const { stdout } = await stack.tyger(["status"]);
  const [, pid] = new RegExp(`^ *${name} .*pid (\\d+)`, "m").exec(stdout.toString()) ?? [];
  if (pid === undefined) throw new Error(`The status names no pid of '${name}': ${stdout.toString()}`);
  return Number(pid);
}

/** A run as a stack shows it. */
export interface ShownRun {
  status: string;
  statusReason?: string;
  job: { buffers: Record<string, string> };
}

export async function showRun(stack: TestStack, id: string): Promise<ShownRun> {
  return JSON.parse((await stack.tyger(["run", "show", id])).stdout.toString()) as ShownRun;
}

/** Creates a run of the shell `script` of which nothing is awaited; gives its id. */
export async function createRun(
  stack: TestStack,
  image: string,
  script: string,
  buffers: { inputs?: string[]; outputs?: string[] },
  flags: readonly string[] = [],
): Promise<string> {
  const file = join(stack.env["HOME"] ?? "", `run-${randomUUID()}.yml`);
  const codespec = { kind: "job", image, buffers, command: ["bash", "-c", script] };
  await writeFile(file, JSON.stringify({ job: { codespec } }), { mode: 0o644 });
  const { code, stdout, stderr } = await stack.tyger(["run", "create", "-f", file, ...flags]);
  if (code !== 0) throw new Error(`The run was not created: ${stderr}`);
  return stdout.toString().trim();
}
