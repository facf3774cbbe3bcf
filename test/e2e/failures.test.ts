import { once } from "node:events";
import { readFileSync } from "node:fs";
import { chmod, cp, mkdir, open, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { eventually } from "../eventually.ts";
import { containersOf, enginesOf, run, startStack, type CommandResult, type TestStack } from "./stack.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** A process that does not start is tried four times; a busy machine takes a minute for it. */
const LIMIT_MS = 180_000;
const IS_ROOT = process.getuid?.() === 0;

/** The values of placeholders on the page, unless the case gives one; any other `<word>` is itself. */
const PATTERNS: Record<string, string> = {
  time: String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:Z|[+-]\d\d:\d\d)`,
  path: String.raw`/[^\s'":]+`,
  port: String.raw`\d+`,
  run: String.raw`\d+`,
  process: "api|worker",
  words: ".+",
};

interface Documented {
  command: string;
  printed: string;
}

/** The failures of docs/errors.md by their headings. */
const PAGE = new Map(
  readFileSync(join(ROOT, "docs/errors.md"), "utf8")
    .split(/^### /m)
    .slice(1)
    .map((part): [string, Documented] => {
      const [heading = ""] = part.split("\n");
      const [, command = "", printed = ""] = /^```console\n\$ (.*)\n([^]*?)^```$/m.exec(part) ?? [];
      return [heading, { command, printed }];
    }),
);

/** The setup of a failure, and the steps taken while its command runs. */
interface Case {
  prepare?: () => Promise<{ values?: Record<string, string>; env?: Record<string, string> } | void>;
  /** Is given the id of the run that the command has created. */
  meanwhile?: (runId: number) => Promise<unknown>;
  /** Without the rights of root, who can open every file. */
  isUnprivileged?: true;
}

let stack: TestStack;
let folder: string;
/** Where a small disk is mounted, or why none can be. */
let smallDisk: string | undefined;
let whyNoSmallDisk = "";
let expiring: Promise<{ id: string }>;

beforeAll(async () => {
  stack = await startStack({
    beforeUp: async (dataDir) => {
      const buffers = join(dataDir, "buffers");
      await mkdir(buffers, { recursive: true });
      const mount = await run("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", buffers], { env: { PATH: path() } });
      if (mount.code === 0) smallDisk = buffers;
      else whyNoSmallDisk = `no small disk can be mounted here: ${mount.stderr.trim()}`;
    },
  });
  folder = join(stack.env["HOME"] ?? "", "failures");
  await mkdir(folder);
  // The shortest life of a URL is half a minute, which passes while the others fail.
  expiring = expiringUrl();
});

afterAll(async () => {
  if (smallDisk !== undefined) await run("umount", ["-l", smallDisk], { env: { PATH: path() } });
  if (!stack) return;
  await stack.down();
});

const path = (): string => process.env["PATH"] ?? "/usr/bin:/bin";

/** A file in the folder of the commands. */
const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text);

const jobFile = (name: string, codespec: Record<string, unknown>): Promise<void> =>
  write(name, JSON.stringify({ job: { codespec: { image: inject("testImage"), ...codespec } } }));

const sleeping = (name: string) => ({ prepare: () => jobFile(name, { command: ["sleep", "60"] }) });

/** The environment of another stack, which uses the engines of the first one as far as `given` names no others. */
async function otherStack(name: string, given: Record<string, string> = {}): Promise<{ env: Record<string, string> }> {
  return { env: { TYGER_DATA_DIR: join(folder, name), DATABASE_URL: await databaseUrl(), ...given } };
}

async function databaseUrl(password?: string): Promise<string> {
  const url = new URL("/postgres", (await enginesOf(stack)).postgres);
  if (password !== undefined) url.password = password;
  return url.href;
}

async function loginTo(name: string, socket: string): Promise<{ env: Record<string, string> }> {
  await write(name, `serverUrl: 'http+unix://${socket}:'\n`);
  return { env: { TYGER_CACHE_FILE: join(folder, name) } };
}

/** A socket file whose server is gone. */
async function deadSocket(name: string): Promise<string> {
  const server = createServer();
  await once(server.listen(join(folder, `${name}.live`)), "listening");
  await rename(join(folder, `${name}.live`), join(folder, name));
  server.close();
  await once(server, "close");
  return join(folder, name);
}

const idOf = ({ stdout }: CommandResult): string => stdout.toString().trim();
const newBuffer = async (): Promise<string> => idOf(await stack.tyger(["buffer", "create"]));

async function writtenBuffer(): Promise<string> {
  const id = await newBuffer();
  expect((await stack.tyger(["buffer", "write", id], { input: "some data" })).code).toBe(0);
  return id;
}

/** Changes one byte of the first blob of a new buffer. */
async function damagedBuffer(at: "first" | "last"): Promise<{ values: { id: string } }> {
  const id = await writtenBuffer();
  const file = join(stack.dataDir, "buffers", id, "00-000");
  const { length } = await readFile(file);
  await using handle = await open(file, "r+");
  await handle.write("#", at === "first" ? 0 : length - 1);
  return { values: { id } };
}

async function failedBuffer(): Promise<{ values: { id: string } }> {
  const id = await newBuffer();
  const started = join(stack.dataDir, "buffers", id, ".bufferstart");
  const ended = await stack.shell(
    `mkfifo '${folder}/half' && exec 3<> '${folder}/half' && echo half >&3 || exit 0
     tyger buffer write ${id} <&3 & writer=$!
     until [ -e '${started}' ] || ! kill -0 $writer; do sleep 0.05; done
     kill $writer && wait $writer`,
  );
  expect(ended.code).not.toBe(0);
  return { values: { id } };
}

async function expiringUrl(): Promise<{ id: string }> {
  const id = await writtenBuffer();
  const { stdout } = await stack.tyger(["buffer", "access", id, "--access-ttl", "0.00:00:30"]);
  await write("url", stdout.toString());
  return { id };
}

/** Our installation once more, with a fixed port for Temporal that is taken. */
async function otherInstallation(): Promise<{ env: Record<string, string>; values: { port: string } }> {
  const copy = join(folder, "installation");
  await cp(join(ROOT, "dist"), join(copy, "dist"), { recursive: true });
  await cp(join(ROOT, "bin/tyger"), join(copy, "bin/tyger"));
  await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
  const port = (await enginesOf(stack)).temporal.split(":")[1] ?? "";
  const config = await readFile(join(ROOT, "temporal-dev.yaml"), "utf8");
  await writeFile(join(copy, "temporal-dev.yaml"), config.replace(/^port: .*$/m, `port: ${port}`));
  const { env } = await otherStack("taken-port");
  return { env: { ...env, PATH: `${join(copy, "bin")}:${path()}` }, values: { port } };
}

async function killPump(runId: number): Promise<void> {
  const pump = await eventually(async () => {
    const listed = await run("pgrep", ["-f", `pump.js ${stack.dataDir}/runs/${runId}-`], { env: stack.env });
    return Number(listed.stdout.toString().trim().split("\n")[0]);
  });
  // Until it has been launched, its launch fails instead.
  await eventually(async () => {
    const { stdout } = await stack.tyger(["run", "show", String(runId)]);
    return (JSON.parse(stdout.toString()) as { status: string }).status === "Running";
  });
  process.kill(pump, "SIGKILL");
}

async function killJob(runId: number): Promise<void> {
  await eventually(async () => {
    const [container = ""] = await containersOf(stack, runId);
    return (await run("docker", ["kill", container], { env: stack.env })).code === 0;
  });
}

async function cancelJob(runId: number): Promise<void> {
  await eventually(async () => (await containersOf(stack, runId)).length === 1);
  await stack.tyger(["run", "cancel", String(runId)]);
}

/** By the headings of the page; what takes long comes first. */
const CASES: Record<string, Case> = {
  "The API was killed and does not restart": {
    prepare: async () => loginTo("dead-login", await deadSocket("dead.sock")),
  },
  "The given Postgres refuses the password": {
    prepare: async () => {
      const given = { DATABASE_URL: await databaseUrl("wrong"), TEMPORAL_ADDRESS: (await enginesOf(stack)).temporal };
      return otherStack("wrong-password", given);
    },
  },
  "Not logged in": { prepare: async () => ({ env: { TYGER_CACHE_FILE: join(folder, "no-login") } }) },
  "The stack is down": { prepare: () => loginTo("gone-login", join(folder, "gone.sock")) },
  "No Docker engine": { prepare: () => otherStack("no-engine") },
  "A Docker engine on another host": { prepare: () => otherStack("far-engine") },
  "You do not have permission to use the Docker socket": {
    isUnprivileged: true,
    prepare: async () => {
      const socket = await deadSocket("closed.sock");
      await chmod(socket, 0);
      return otherStack("closed-engine", { DOCKER_HOST: `unix://${socket}` });
    },
  },
  "A port is in use": { prepare: otherInstallation },
  "The configuration file is invalid": {
    prepare: async () => {
      await write("tyger.yml", "controlPlane:\n  address: 127.0.0.1:8080\n");
      return { ...(await otherStack("invalid-file")), values: { folder } };
    },
  },
  "The given Postgres cannot be reached": { prepare: () => otherStack("no-postgres") },
  "The given Temporal cannot be reached": { prepare: () => otherStack("no-temporal") },
  "The given Temporal has no such namespace": {
    prepare: async () => otherStack("no-namespace", { TEMPORAL_ADDRESS: (await enginesOf(stack)).temporal }),
  },
  "No permission to use the data folder": {
    isUnprivileged: true,
    prepare: async () => {
      await mkdir(join(folder, "closed"), { mode: 0o500 });
    },
  },
  "The data folder cannot be created": {},
  "The file is not YAML": {
    prepare: () => write("malformed.yml", "job:\n  codespec: [\n    image: ubuntu\n"),
  },
  "The file has an unknown field": {
    prepare: () => write("unknown.yml", 'job:\n  codespec:\n    image: ubuntu\n    comand: ["true"]\n'),
  },
  "The file does not exist": {},
  "An unknown flag": {},
  "An invalid value of a flag": {},
  "The image is not on this host": { prepare: () => jobFile("image.yml", { image: "nowhere:1", command: ["true"] }) },
  "The codespec was not found": {},
  "The buffer was not found": {
    prepare: () => jobFile("cat.yml", { buffers: { inputs: ["input"] }, command: ["true"] }),
  },
  "Two inputs for one stdin": {
    prepare: () => jobFile("two.yml", { buffers: { inputs: ["left", "right"] }, command: ["true"] }),
  },
  "A second writer": { prepare: async () => ({ values: { id: await writtenBuffer() } }) },
  "Stored bytes were changed": { prepare: () => damagedBuffer("last") },
  "A stored blob is damaged": { prepare: () => damagedBuffer("first") },
  "The writer failed": { prepare: failedBuffer },
  "The job ends with an error": { prepare: () => jobFile("exit.yml", { command: ["bash", "-c", "exit 7"] }) },
  "The program is not in the image": { prepare: () => jobFile("program.yml", { command: ["pyton3", "main.py"] }) },
  "The timeout passes": sleeping("late.yml"),
  "The job is killed": { ...sleeping("killed.yml"), meanwhile: killJob },
  "The pump is killed": {
    prepare: () =>
      jobFile("pump.yml", { buffers: { outputs: ["output"] }, command: ["bash", "-c", 'sleep 60 > "$OUTPUT_PIPE"'] }),
    meanwhile: killPump,
  },
  "The run is canceled": {
    ...sleeping("canceled.yml"),
    meanwhile: cancelJob,
  },
  "stdout is closed": {},
};

test("the page lists these failures, and no other", () => {
  const last = ["The access URL has expired", "The disk of the buffers is full"];
  expect([...PAGE.keys()].sort()).toEqual([...Object.keys(CASES), ...last].sort());
});

describe.concurrent("the output is as docs/errors.md shows", () => {
  test.each(Object.entries(CASES))("%s", async (heading, failure) => {
    const { printed, documented } = await failAs(heading, failure);
    expect(printed).toEqual(documented);
  });
});

test("The access URL has expired", async () => {
  const { id } = await expiring;
  const url = await readFile(join(folder, "url"), "utf8");
  const endsAt = Date.parse(new URL(url.trim()).searchParams.get("se") ?? "");
  await eventually(async () => Date.now() > endsAt + 1000, { withinMs: 40_000 });
  const { printed, documented } = await failAs("The access URL has expired", {
    prepare: async () => ({ values: { url: url.trim(), id } }),
  });
  expect(printed).toEqual(documented);
});

test("The disk of the buffers is full", async ({ skip }) => {
  if (smallDisk === undefined) skip(whyNoSmallDisk);
  const { printed, documented } = await failAs("The disk of the buffers is full", {
    prepare: async () => ({ values: { id: await newBuffer() } }),
  });
  expect(printed).toEqual(documented);
});

/** Runs the command as the page shows it; returns the actual and the documented output. */
async function failAs(heading: string, { prepare, meanwhile, isUnprivileged }: Case) {
  const page = PAGE.get(heading) ?? { command: "false", printed: "" };
  const { values = {}, env = {} } = (await prepare?.()) ?? {};
  const line = Object.entries(values).reduce(
    (text, [name, value]) => text.replaceAll(`<${name}>`, value),
    page.command,
  );
  const shell = ["bash", "-c", `cd '${folder}' && ${line}`];
  const [program = "", ...args] =
    isUnprivileged && IS_ROOT ? ["setpriv", "--bounding-set=-all", "--inh-caps=-all", ...shell] : shell;
  let said = "";
  const onStderr = (text: string): void => void (said += text);
  const ending = run(program, args, { env: { ...stack.env, ...env }, onStderr, limitMs: LIMIT_MS });
  ending.catch(() => undefined);
  if (meanwhile) {
    const runId = await eventually(async () => Number(/Run created runId=(\d+)/.exec(said)?.[1] ?? 0));
    await meanwhile(runId);
  }
  const { code, stdout, stderr } = await ending;
  const pattern: unknown = expect.stringMatching(patternOf(page.printed, values));
  return {
    printed: { code, stdout: stdout.toString(), stderr },
    documented: { code: 1, stdout: "", stderr: pattern },
  };
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);

/** `printed` of the page as a pattern: placeholders are values or patterns, a line of `…` is any number of lines. */
function patternOf(printed: string, values: Record<string, string>): RegExp {
  const seen = new Set<string>();
  const parts = printed
    .replaceAll("…\n", "<lines>")
    .split(/(<[^<>\s]+>)/)
    .map((part) => {
      const name = part.startsWith("<") ? part.slice(1, -1) : "";
      const value = values[name];
      if (value !== undefined) return escaped(value);
      if (name === "lines") return "(?:.*\n)*?";
      const pattern = PATTERNS[name];
      if (pattern === undefined) return escaped(part);
      // One run is meant throughout.
      if (name !== "run") return `(?:${pattern})`;
      const again = seen.has(name);
      seen.add(name);
      return again ? String.raw`\k<run>` : `(?<run>${pattern})`;
    });
  return new RegExp(`^${parts.join("")}$`);
}
