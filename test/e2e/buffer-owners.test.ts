import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { eventually } from "../eventually.ts";
import { containersOf, showRun, startStack, type TestStack } from "./stack.ts";

const PATIENT = { withinMs: 30_000, everyMs: 100 };

let stack: TestStack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack?.down();
});

/** Runs a command that must succeed, and returns its output. */
async function succeed(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await stack.tyger(args);
  expect({ command: args.join(" "), code, stderr }).toMatchObject({ code: 0 });
  return stdout.toString().trim();
}

const newBuffer = () => succeed("buffer", "create");
let files = 0;

/** The arguments that create a run of a shell script, with these buffers. */
async function creation(script: string, parameters: object, buffers: Record<string, string>): Promise<string[]> {
  const file = join(stack.env["HOME"] ?? "", `${++files}.yml`);
  const codespec = { kind: "job", image: inject("testImage"), buffers: parameters, command: ["bash", "-c", script] };
  await writeFile(file, JSON.stringify({ job: { codespec, buffers } }));
  return ["run", "create", "-f", file];
}

const create = async (...of: Parameters<typeof creation>) => succeed(...(await creation(...of)));

async function refusalOf(...of: Parameters<typeof creation>): Promise<string> {
  const { code, stderr } = await stack.tyger(await creation(...of));
  expect(code).toBe(1);
  return stderr;
}

const begun = (id: string) => eventually(async () => (await succeed("run", "logs", id)).includes("begun"), PATIENT);
const hasEnded = (id: string, status: string) =>
  eventually(async () => {
    const run = await showRun(stack, id);
    return run.status === status && (await containersOf(stack, Number(id))).length === 0;
  }, PATIENT);

/** A `buffer write` with its standard input left open, in the middle of its data. */
async function openWrite(bufferId: string) {
  const child = spawn(join(stack.env["HOME"] ?? "", "bin/tyger"), ["buffer", "write", bufferId], {
    env: stack.env,
    stdio: ["pipe", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const closed = once(child, "close") as Promise<[number | null]>;
  child.stdin.write("first half, ");
  await eventually(() => access(join(stack.dataDir, "buffers", bufferId, "00-000")).then(() => true), PATIENT);
  return {
    async end() {
      child.stdin.end("second half");
      const [code] = await closed;
      return { code, stderr };
    },
  };
}

test.each([
  ["is canceled", "Canceled", (id: string) => succeed("run", "cancel", id)],
  ["fails", "Failed", (_id: string, input: string) => stack.tyger(["buffer", "write", input], { input: "now\n" })],
] as const)("a run that %s leaves its output to the buffer write that fills it", async (_name, status, end) => {
  const [input, output] = [await newBuffer(), await newBuffer()];
  const script = 'echo begun; read -r line < "$INPUT_PIPE"; exit 3';
  const id = await create(script, { inputs: ["input"], outputs: ["output"] }, { input, output });
  await begun(id);
  const writing = await openWrite(output);
  const reading = stack.tyger(["buffer", "read", output]);
  await end(id, input);
  await hasEnded(id, status);
  const written = await writing.end();
  const read = await reading;
  expect({ written, read: { ...read, stdout: read.stdout.toString() } }).toMatchObject({
    written: { code: 0 },
    read: { code: 0, stdout: "first half, second half" },
  });
  expect(written.stderr).not.toContain("end mark");
});

test("an output of an open run is refused; when that has ended, it has an end, and is refused as written", async () => {
  const output = await newBuffer();
  const outputs = { outputs: ["output"] };
  const id = await create("echo begun; exec sleep 600", outputs, { output });
  expect(await refusalOf("true", outputs, { output })).toContain(
    `The buffer '${output}' is an output of the run '${id}', which has not ended; give the output 'output' another one, or none`,
  );
  await begun(id);
  await succeed("run", "cancel", id);
  await hasEnded(id, "Canceled");
  const { code, stderr } = await stack.tyger(["buffer", "read", output]);
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("permanently failed state") });
  expect(await refusalOf("true", outputs, { output })).toContain(
    `The buffer '${output}' has already been written to; give the output 'output' a new one, or none`,
  );
});

test("one buffer for two outputs is refused", async () => {
  const both = await newBuffer();
  expect(await refusalOf("true", { outputs: ["a", "b"] }, { a: both, b: both })).toContain(
    `The buffer '${both}' is given for both 'a' and 'b'; give each output its own`,
  );
});

test("the output of one run can be the input of others meanwhile", async () => {
  const [shared, first, second] = [await newBuffer(), await newBuffer(), await newBuffer()];
  const copy = 'cat "$INPUT_PIPE" > "$OUTPUT_PIPE"';
  const both = { inputs: ["input"], outputs: ["output"] };
  const readers = await Promise.all([first, second].map((output) => create(copy, both, { input: shared, output })));
  const writer = await create('echo shared > "$OUTPUT_PIPE"', { outputs: ["output"] }, { output: shared });
  for (const id of [writer, ...readers]) await hasEnded(id, "Succeeded");
  expect(await Promise.all([first, second].map((id) => succeed("buffer", "read", id)))).toEqual(["shared", "shared"]);
});
