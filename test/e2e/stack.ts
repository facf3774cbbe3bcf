import { spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { finished } from "node:stream/promises";

const ROOT = resolve(import.meta.dirname, "../..");

export interface CommandResult {
  code: number | null;
  stdout: Buffer;
  stderr: string;
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

/** A stack of its own in a temporary folder, up and logged in. `beforeUp` is given its data folder. */
export async function startStack(beforeUp?: (dataDir: string) => Promise<void>): Promise<TestStack> {
  const home = await mkdtemp(join(tmpdir(), "tyger-e2e-"));
  // As root the stack's Postgres runs as another user, who has to get to its data.
  await chmod(home, 0o711);
  const binDir = join(home, "bin");
  const env: Record<string, string> = {
    PATH: `${binDir}:${process.env["PATH"] ?? "/usr/bin:/bin"}`,
    HOME: home,
    TYGER_DATA_DIR: join(home, "data"),
    TYGER_CACHE_FILE: join(home, "login"),
    // What was downloaded once is not downloaded again for each stack.
    XDG_CACHE_HOME: process.env["XDG_CACHE_HOME"] ?? join(process.env["HOME"] ?? home, ".cache"),
    XDG_RUNTIME_DIR: join(home, "r"),
  };
  await mkdir(binDir);
  await run("ln", ["-s", join(ROOT, "bin/tyger"), join(binDir, "tyger")], { env });
  const stack: TestStack = {
    env,
    dataDir: env["TYGER_DATA_DIR"] ?? "",
    tyger: (args, options) => run(join(binDir, "tyger"), args, { env, ...options }),
    shell: (line, options) => run("bash", ["-c", line], { env, ...options }),
    async down() {
      await stack.tyger(["down", "--cancel"], { limitMs: 60_000 });
      await rm(home, { recursive: true, force: true });
    },
  };
  await beforeUp?.(stack.dataDir);
  const up = await stack.tyger(["up"], { limitMs: 180_000 });
  if (up.code !== 0) throw new Error(`tyger up failed: ${up.stderr}`);
  return stack;
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

/** The installation id, as the status page names it. */
export async function installationOf(stack: TestStack): Promise<string> {
  const status = await stack.tyger(["status"]);
  const [, id] = /installation\s+([a-z2-7]{10})/.exec(status.stdout.toString()) ?? [];
  if (id === undefined) throw new Error(`The status names no installation: ${status.stdout.toString()}`);
  return id;
}
