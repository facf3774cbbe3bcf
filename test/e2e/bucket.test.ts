import { createHash, randomBytes } from "node:crypto";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { eventually } from "../eventually.ts";
import { findGcsEmulator, startGcsEmulator, type GcsEmulator } from "../fakes/gcs-emulator.ts";
import { createRun, makeStack, pidOf, showRun, type TestStack } from "./stack.ts";

const PATIENT = { withinMs: 60_000, everyMs: 100 };
const UP = { limitMs: 180_000 };
const BOTH = { inputs: ["input"], outputs: ["output"] };

/** Buffers in a bucket, jobs on Docker: `tyger up --store gs://…`, with a server of the wire protocol that can be killed. */
let stack: TestStack;
let emulator: GcsEmulator;
let whyNot: string | undefined;
let old: string;
beforeAll(async () => {
  const found = await findGcsEmulator();
  if ("why" in found) {
    whyNot = found.why;
    return;
  }
  emulator = await startGcsEmulator(found.program);
  stack = await makeStack();
  await tyger(["up"], UP);
  old = await newBuffer("old words");
  stack.env["STORAGE_EMULATOR_HOST"] = emulator.endpoint;
  await tyger(["up", "--store", `gs://${emulator.bucket}/team/a`], UP);
  delete stack.env["STORAGE_EMULATOR_HOST"];
}, 600_000);
afterAll(async () => {
  await stack?.down();
  await emulator?.close();
});

async function tyger(args: readonly string[], options: Parameters<TestStack["tyger"]>[1] = {}): Promise<string> {
  const { code, stdout, stderr } = await stack.tyger(args, options);
  expect({ command: args.join(" "), code, stderr }).toMatchObject({ code: 0 });
  return stdout.toString();
}
async function newBuffer(content: string | Buffer): Promise<string> {
  const id = (await tyger(["buffer", "create"])).trim();
  await tyger(["buffer", "write", id], { input: content });
  return id;
}
async function runFile(name: string, script: string): Promise<string> {
  const path = join(stack.env["HOME"] ?? "", `${name}.yml`);
  const codespec = { kind: "job", image: inject("testImage"), buffers: BOTH, command: ["bash", "-c", script] };
  await writeFile(path, JSON.stringify({ job: { codespec } }));
  return path;
}
const hashOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
async function namesIn(prefix: string): Promise<string[]> {
  const url = `${emulator.endpoint}/storage/v1/b/${emulator.bucket}/o?prefix=${encodeURIComponent(prefix)}`;
  const { items = [] } = (await (await fetch(url)).json()) as { items?: { name: string }[] };
  return items.map(({ name }) => name);
}

test("the main job runs with its buffers and its log in the bucket, and nothing of it in the data folder", async ({
  skip,
}) => {
  skip(whyNot !== undefined, whyNot);
  const { code, stdout } = await stack.tyger(["run", "exec", "-f", "examples/hello.yml"], { input: "Paul\n" });
  expect([code, stdout.toString()]).toEqual([0, "Hello Paul\n"]);
  expect(await tyger(["status"])).toContain(`store         gs://${emulator.bucket}/team/a\n`);
  const [installation] = (await namesIn("team/a/"))[0]?.slice("team/a/".length).split("/") ?? [];
  await eventually(async () => (await namesIn(`team/a/${installation}/logs/`)).length > 0, PATIENT);
  expect((await namesIn(`team/a/${installation}/buffers/`)).length).toBeGreaterThan(8);
  const local = (await readdir(join(stack.dataDir, "buffers"))).filter((name) => name !== "-passage");
  expect(local).toEqual([old]);
});

test("buffers of the former store stay readable, and go into new runs", async ({ skip }) => {
  skip(whyNot !== undefined, whyNot);
  expect(await tyger(["buffer", "read", old])).toBe("old words");
  const script = 'tr a-z A-Z < "$INPUT_PIPE" > "$OUTPUT_PIPE"; echo shouted';
  const id = await createRun(stack, inject("testImage"), script, BOTH, ["-b", `input=${old}`]);
  await eventually(async () => (await showRun(stack, id)).status === "Succeeded", PATIENT);
  const { job } = await showRun(stack, id);
  expect(await tyger(["buffer", "read", job.buffers["output"] ?? ""])).toBe("OLD WORDS");
  await eventually(async () => (await tyger(["run", "logs", id])) === "[main] shouted\n", PATIENT);
});

test("100 MB come back whole, with the server killed and started again on their way", async ({ skip }) => {
  skip(whyNot !== undefined, whyNot);
  const file = await runFile("cat", 'cat "$INPUT_PIPE" > "$OUTPUT_PIPE"');
  const input = randomBytes(100_000_000);
  const before = (await namesIn("team/a/")).length;
  const running = stack.tyger(["run", "exec", "-f", file], { input, limitMs: 240_000 });
  await eventually(async () => (await namesIn("team/a/")).length > before + 8, PATIENT);
  await emulator.kill();
  // It is away for as long as this takes.
  await tyger(["status"]);
  await emulator.start();
  const { code, stdout, stderr } = await running;
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  expect(hashOf(stdout)).toBe(hashOf(input));
});

test.for(["api", "worker"])(
  "a run whose pump needs the data plane survives kill -9 of the %s",
  async (name, { skip }) => {
    skip(whyNot !== undefined, whyNot);
    const file = await runFile(`cat-${name}`, 'cat "$INPUT_PIPE" > "$OUTPUT_PIPE"; echo executed');
    const input = randomBytes(60_000_000);
    const before = (await namesIn("team/a/")).length;
    const running = stack.tyger(["run", "exec", "--logs", "-f", file], { input, limitMs: 240_000 });
    await eventually(async () => (await namesIn("team/a/")).length > before + 6, PATIENT);
    process.kill(await pidOf(stack, name), "SIGKILL");
    const { code, stdout, stderr } = await running;
    expect({ code, same: hashOf(stdout) === hashOf(input) }).toEqual({ code: 0, same: true });
    expect(stderr.match(/executed/g)).toHaveLength(1);
    await eventually(async () => (await stack.tyger(["status"])).code === 0, PATIENT);
  },
);

test("a canceled run ends Canceled, its reader ends, and its log is in the bucket", async ({ skip }) => {
  skip(whyNot !== undefined, whyNot);
  const id = await createRun(stack, inject("testImage"), "echo begun; sleep 600", { outputs: ["output"] });
  await eventually(async () => (await showRun(stack, id)).status === "Running", PATIENT);
  const { job } = await showRun(stack, id);
  const reading = stack.tyger(["buffer", "read", job.buffers["output"] ?? ""]);
  await tyger(["run", "cancel", id]);
  expect(await reading).toMatchObject({ code: 1, stderr: expect.stringContaining("permanently failed state") });
  await eventually(async () => (await showRun(stack, id)).status === "Canceled", PATIENT);
  await eventually(async () => (await namesIn("team/a/")).some((name) => name.includes(`/logs/0/${id}-`)), PATIENT);
  expect(await tyger(["run", "logs", id])).toBe("[main] begun\n");
});

test("a server that is away gives one clear error; what is in the data folder works; it all works when it is back", async ({
  skip,
}) => {
  skip(whyNot !== undefined, whyNot);
  const stored = await newBuffer("some words");
  await emulator.kill();
  const away = `The bucket '${emulator.bucket}' cannot be reached: nothing is listening there`;
  const created = await stack.tyger(["buffer", "create"], { limitMs: 120_000 });
  expect(created).toMatchObject({ code: 1, stderr: expect.stringContaining(away) });
  expect(await tyger(["buffer", "read", old])).toBe("old words");
  await emulator.start();
  expect(await tyger(["buffer", "read", stored], { limitMs: 120_000 })).toBe("some words");
});

test("a bucket that does not exist is refused before anything stops, and the former choice is kept", async ({
  skip,
}) => {
  skip(whyNot !== undefined, whyNot);
  stack.env["STORAGE_EMULATOR_HOST"] = emulator.endpoint;
  const refused = await stack.tyger(["up", "--store", "gs://no-such-bucket"], UP);
  delete stack.env["STORAGE_EMULATOR_HOST"];
  expect(refused).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("The bucket 'no-such-bucket' does not exist"),
  });
  expect(await tyger(["up"], UP)).toBe("");
  const stored = await newBuffer("in the bucket");
  await tyger(["up", "--store", "local"], UP);
  expect(await tyger(["buffer", "read", stored])).toBe("in the bucket");
  const local = await newBuffer("in the data folder");
  expect(await readdir(join(stack.dataDir, "buffers"))).toContain(local);
  expect(await tyger(["status"])).toContain(
    `store         local\nformer store  gs://${emulator.bucket}/team/a, for what is there already\n`,
  );
});
