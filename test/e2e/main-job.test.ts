import { createHash, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { eventually } from "../eventually.ts";
import { containersOf, run, showRun, startStack, type TestStack } from "./stack.ts";

let stack: TestStack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack?.down();
});

/** A run file whose job is the shell `script`. */
async function runFile(
  name: string,
  script: string,
  buffers: { inputs?: string[]; outputs?: string[] },
): Promise<string> {
  const path = join(stack.env["HOME"] ?? "", `${name}.yml`);
  const codespec = { kind: "job", image: inject("testImage"), buffers, command: ["bash", "-c", script] };
  await writeFile(path, JSON.stringify({ job: { codespec } }));
  return path;
}

const cat = 'cat "$INPUT_PIPE" > "$OUTPUT_PIPE"';
const both = { inputs: ["input"], outputs: ["output"] };

test("echo Paul through examples/hello.yml gives Hello Paul and nothing else on stdout", async () => {
  const { code, stdout, stderr } = await stack.tyger(["run", "exec", "-f", "examples/hello.yml"], { input: "Paul\n" });
  expect(stderr).toMatch(/Run created.*runId=\d+/);
  expect(stdout.toString()).toBe("Hello Paul\n");
  expect(code).toBe(0);
});

test("a named codespec, its version, and a run with no buffer", async () => {
  const created = await stack.tyger([
    "codespec",
    "create",
    "upper",
    "--image",
    inject("testImage"),
    "-i",
    "input",
    "-o",
    "output",
    "--command",
    "--",
    "bash",
    "-c",
    'tr a-z A-Z < "$INPUT_PIPE" > "$OUTPUT_PIPE"',
  ]);
  expect(created.stdout.toString()).toBe("1\n");
  const named = await stack.tyger(["run", "exec", "--codespec", "upper", "--version", "1"], { input: "abc" });
  expect(named.stdout.toString()).toBe("ABC");

  const file = await runFile("no-buffer", "echo hi", {});
  const bare = await stack.tyger(["run", "exec", "-f", file, "--logs"], { input: "" });
  expect(bare).toMatchObject({ code: 0, stdout: Buffer.alloc(0) });
  expect(bare.stderr).toMatch(/^hi$/m);
});

test("an input that the job opens twice gives the rest the second time, and then an end", async () => {
  const script = 'read -r first < "$INPUT_PIPE"; wc -l < "$INPUT_PIPE" > "$OUTPUT_PIPE"; cat "$INPUT_PIPE"; echo over';
  const file = await runFile("twice", script, both);
  for (let i = 0; i < 6; i++) {
    const lines = i % 2 === 0 ? 200_000 : 20;
    const input = Array.from({ length: lines }, (_, line) => `${line}\n`).join("");
    const { code, stdout, stderr } = await stack.tyger(["run", "exec", "-f", file, "--logs"], { input });
    expect({ code, counted: Number(stdout) }).toEqual({ code: 0, counted: lines - 1 });
    expect(stderr).toMatch(/^(.*\] )?over$/m);
  }
});

test("ten different inputs give ten right outputs and leave nothing behind", async () => {
  const file = await runFile("cat", cat, both);
  for (let i = 0; i < 10; i++) {
    const input = randomBytes(1000 * i);
    const { code, stdout, stderr } = await stack.tyger(["run", "exec", "-f", file], { input });
    expect(stderr).not.toContain("timed out waiting for logs");
    expect({ code, same: stdout.equals(input) }).toEqual({ code: 0, same: true });
  }
  await eventually(async () => (await containersOf(stack)).length === 0, { withinMs: 20_000 });
});

test("64 MiB of random bytes come back whole", async () => {
  const file = await runFile("cat", cat, both);
  const input = randomBytes(64 * 1024 * 1024);
  const { code, stdout } = await stack.tyger(["run", "exec", "-f", file], { input });
  const hash = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
  expect(code).toBe(0);
  expect(hash(stdout)).toBe(hash(input));
});

test("create, write, read, show, watch, list and logs tell the same story", async () => {
  const file = await runFile("cat-and-log", `echo started; ${cat}; echo done >&2`, both);
  const id = (await stack.tyger(["run", "create", "-f", file, "--tag", "story=one"])).stdout.toString().trim();
  expect(id).toMatch(/^\d+$/);
  const shown = JSON.parse((await stack.tyger(["run", "show", id])).stdout.toString());
  const { input, output } = shown.job.buffers;
  expect((await stack.tyger(["buffer", "write", input], { input: "some bytes" })).code).toBe(0);
  expect((await stack.tyger(["buffer", "read", output])).stdout.toString()).toBe("some bytes");
  const watched = await stack.tyger(["run", "watch", id]);
  expect(JSON.parse(watched.stdout.toString().trim().split("\n").at(-1) ?? "")).toMatchObject({ status: "Succeeded" });
  const listed = JSON.parse((await stack.tyger(["run", "list", "--tag", "story=one"])).stdout.toString());
  expect(listed).toMatchObject([{ id: Number(id), status: "Succeeded" }]);
  const live = await stack.tyger(["run", "logs", id]);
  expect(live.stdout.toString()).toBe("[main] started\n[main] done\n");
  await eventually(async () => (await containersOf(stack, Number(id))).length === 0, { withinMs: 20_000 });
  expect((await stack.tyger(["run", "logs", id])).stdout).toEqual(live.stdout);
});

test("a canceled run ends Canceled, and its reader ends too", async () => {
  const file = await runFile("sleeper", "sleep 600", { outputs: ["output"] });
  const id = (await stack.tyger(["run", "create", "-f", file])).stdout.toString().trim();
  const shown = JSON.parse((await stack.tyger(["run", "show", id])).stdout.toString());
  const reading = stack.tyger(["buffer", "read", shown.job.buffers.output]);
  expect((await stack.tyger(["run", "cancel", id])).code).toBe(0);
  await eventually(
    async () => JSON.parse((await stack.tyger(["run", "show", id])).stdout.toString()).status === "Canceled",
    { withinMs: 20_000 },
  );
  const { code, stderr } = await reading;
  expect(code).toBe(1);
  expect(stderr).toContain("the buffer is in a permanently failed state");
  expect(JSON.parse((await stack.tyger(["run", "show", id])).stdout.toString()).statusReason).toBe("Canceled by user");
});

test("a run whose job is killed in the middle of its output fails in the container's words, and its readers fail", async () => {
  const file = await runFile("killed", 'exec 3> "$OUTPUT_PIPE"; echo part >&3; sleep 600', { outputs: ["output"] });
  const id = (await stack.tyger(["run", "create", "-f", file])).stdout.toString().trim();
  const { output = "" } = (await showRun(stack, id)).job.buffers;
  const copy = join(stack.env["HOME"] ?? "", "part");
  const reading = stack.shell(`tyger buffer read ${output} > ${copy}`);
  await eventually(async () => (await readFile(copy, "utf8")) === "part\n");
  await run("docker", ["kill", ...(await containersOf(stack, Number(id)))], { env: stack.env });
  expect(await reading).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("the buffer is in a permanently failed state"),
  });
  await eventually(async () => (await showRun(stack, id)).status === "Failed");
  expect((await showRun(stack, id)).statusReason).toMatch(/^Main exited with code 137: /);
});

test("the reader of an output that the job has ended does not wait for the job", async () => {
  const file = await runFile("ended", 'echo all > "$OUTPUT_PIPE"; sleep 600', { outputs: ["output"] });
  const id = (await stack.tyger(["run", "create", "-f", file])).stdout.toString().trim();
  const { output = "" } = (await showRun(stack, id)).job.buffers;
  expect(await stack.tyger(["buffer", "read", output])).toMatchObject({ code: 0, stdout: Buffer.from("all\n") });
  expect((await showRun(stack, id)).status).toBe("Running");
  await stack.tyger(["run", "cancel", id]);
});

test("a run that exceeds its timeout fails, and its reason names the timeout", async () => {
  const file = await runFile("slow", "sleep 600", {});
  const { code, stderr } = await stack.tyger(["run", "exec", "-f", file, "--timeout", "3s"]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/run failed with status Failed \(.*timeout.*\)/);
});

describe("a misbehaving job", () => {
  const cases: [string, string, { code: number; stdout?: string; stderr: RegExp }][] = [
    ["never opens its pipes", "true", { code: 0, stdout: "", stderr: /Succeeded/ }],
    [
      "closes its input early",
      'head -c 1 "$INPUT_PIPE" > "$OUTPUT_PIPE"',
      { code: 0, stdout: "s", stderr: /Succeeded/ },
    ],
    [
      "fails half-way through its output",
      'echo part > "$OUTPUT_PIPE"; exit 3',
      { code: 1, stderr: /Main exited with code 3/ },
    ],
    [
      "opens its output twice",
      'echo a > "$OUTPUT_PIPE"; sleep 1; echo b > "$OUTPUT_PIPE"',
      { code: 1, stderr: /output/ },
    ],
    ["names a program that does not exist", "", { code: 1, stderr: /no such file|not found/i }],
  ];
  test.each(cases)("%s", async (name, script, expected) => {
    const file = await runFile(name.replaceAll(" ", "-"), script, both);
    if (script === "") {
      const codespec = { kind: "job", image: inject("testImage"), command: ["/no/such/program"] };
      await writeFile(file, JSON.stringify({ job: { codespec } }));
    }
    const { code, stdout, stderr } = await stack.tyger(["run", "exec", "-f", file], { input: "some input" });
    expect({ code, stdout: stdout.toString(), stderr }).toMatchObject({
      ...expected,
      stderr: expect.stringMatching(expected.stderr),
    });
  });
});

describe("bad input is refused in one clear sentence", () => {
  const cases: [string, string, RegExp][] = [
    ["malformed YAML", "printf 'job: [' > $HOME/bad.yml; tyger run exec -f $HOME/bad.yml", /bad\.yml/],
    [
      "an unknown field",
      "echo '{job: {codespec: x, bufers: {}}}' > $HOME/bad.yml; tyger run exec -f $HOME/bad.yml",
      /bufers/,
    ],
    ["an unknown flag", "tyger run exec --timout 5", /--timout/],
    ["a codespec that is not there", "tyger run exec -c nosuch < /dev/null", /nosuch/],
    [
      "a missing image",
      "tyger codespec create noimg --image no/such:1 > /dev/null; tyger run create -c noimg",
      /no\/such:1/,
    ],
    ["a buffer that is not there", "tyger buffer read aaaaaaaaaaaaaaaaaaaaaaaaaa", /not found/],
    ["a closed stdin", "tyger run exec -f examples/hello.yml <&-", /stdin/],
    [
      "a reader that leaves",
      "set -o pipefail; yes | head -c 3000000 | tyger run exec -f $HOME/cat.yml | head -c 1 > /dev/null",
      /stdout/,
    ],
  ];
  test.each(cases)("%s", async (_name, line, stderr) => {
    await runFile("cat", cat, both);
    const result = await stack.shell(line);
    expect(result.stderr).toMatch(stderr);
    expect(result.stderr).not.toMatch(/^\s+at .*:\d+:\d+/m);
    expect(result.code).toBe(1);
  });
});
