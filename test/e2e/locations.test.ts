import { mkdir, readdir, readFile, rename, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { eventually } from "../eventually.ts";
import { createRun, makeStack, showRun, type TestStack } from "./stack.ts";

const PATIENT = { withinMs: 60_000, everyMs: 100 };
const UP = { limitMs: 180_000 };
const BOTH = { inputs: ["input"], outputs: ["output"] };
const SHOUT = 'tr a-z A-Z < "$INPUT_PIPE" > "$OUTPUT_PIPE"; echo shouted';

/** A stack that has stored something in its data folder before it got its two locations. */
let stack: TestStack;
let home: string;
let old: { buffer: string; run: string };
beforeAll(async () => {
  stack = await makeStack();
  home = stack.env["HOME"] ?? "";
  await tyger(["up"], UP);
  old = { buffer: await newBuffer([], "old words"), run: await run(await newBuffer([], "old words"), undefined) };
  await tyger(["down"], UP);
  await Promise.all(["fast", "cold"].map((name) => mkdir(join(home, name))));
  const config = join(home, "tyger.yml");
  await writeFile(config, "locations: [{ name: Fast, folder: fast }, { name: cold, folder: cold }]\n");
  stack.env["TYGER_CONFIG"] = config;
  await tyger(["up"], UP);
}, 600_000);
afterAll(async () => {
  await stack?.down();
});

async function tyger(args: readonly string[], options: Parameters<TestStack["tyger"]>[1] = {}): Promise<string> {
  const { code, stdout, stderr } = await stack.tyger(args, options);
  expect({ command: args.join(" "), code, stderr }).toMatchObject({ code: 0 });
  return stdout.toString();
}

async function newBuffer(flags: readonly string[], content?: string): Promise<string> {
  const id = (await tyger(["buffer", "create", ...flags])).trim();
  if (content !== undefined) await tyger(["buffer", "write", id], { input: content });
  return id;
}

const statusOf = async (id: string): Promise<string> => (await showRun(stack, id)).status;
const isEnded = async (id: string): Promise<boolean> => !["Pending", "Running"].includes(await statusOf(id));

/** Runs SHOUT to its end; without an output the run gets one of its own. */
async function run(input: string, output: string | undefined): Promise<string> {
  const outputs = output === undefined ? [] : ["-b", `output=${output}`];
  const id = await createRun(stack, inject("testImage"), SHOUT, BOTH, ["-b", `input=${input}`, ...outputs]);
  await eventually(() => isEnded(id), PATIENT);
  return id;
}

const buffersIn = async (folder: string): Promise<string[]> =>
  (await readdir(join(folder, "buffers"))).filter((name) => name !== "-passage");
const logsIn = (folder: string): Promise<string[]> => readdir(join(folder, "logs/0")).catch(() => []);
const logOf = (id: string, names: readonly string[]): string | undefined =>
  names.find((name) => name.startsWith(`${id}-`));

test("buffers are created in each location, and an unknown one is refused", async () => {
  const ids = {
    fast: await newBuffer([], "fast words"),
    cold: await newBuffer(["--location", "COLD"], "cold words"),
  };
  for (const [folder, id] of Object.entries(ids)) {
    expect(await buffersIn(join(home, folder))).toContain(id);
    expect(await tyger(["buffer", "read", id])).toBe(`${folder} words`);
  }
  expect(JSON.parse(await tyger(["buffer", "show", ids.cold]))).toMatchObject({ location: "cold" });
  const unknown = await stack.tyger(["buffer", "create", "--location", "mars"]);
  expect(unknown).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("The location 'mars' is not known; this server has 'Fast', 'cold'"),
  });
});

test("a run reads from one location and writes to another; its log is in the default one", async () => {
  for (const [from, to] of [
    ["fast", "cold"],
    ["cold", "fast"],
  ] as const) {
    const input = await newBuffer(["--location", from], "some words");
    const output = await newBuffer(["--location", to]);
    const id = await run(input, output);
    expect(await showRun(stack, id)).toMatchObject({ status: "Succeeded" });
    expect(await tyger(["buffer", "read", output])).toBe("SOME WORDS");
    expect([await buffersIn(join(home, from)), await buffersIn(join(home, to))]).toEqual([
      expect.arrayContaining([input]),
      expect.arrayContaining([output]),
    ]);
    await eventually(async () => logOf(id, await logsIn(join(home, "fast"))) !== undefined, PATIENT);
    expect(await tyger(["run", "logs", id])).toBe("[main] shouted\n");
    expect([logOf(id, await logsIn(join(home, "cold"))), logOf(id, await logsIn(stack.dataDir))]).toEqual([
      undefined,
      undefined,
    ]);
  }
});

test("the data folder keeps everything that it had before, and takes part in new runs", async () => {
  expect(await tyger(["buffer", "read", old.buffer])).toBe("old words");
  expect(await tyger(["run", "logs", old.run])).toBe("[main] shouted\n");
  expect(logOf(old.run, await logsIn(stack.dataDir))).toBeDefined();
  const output = await newBuffer(["--location", "cold"]);
  await run(old.buffer, output);
  expect(await tyger(["buffer", "read", output])).toBe("OLD WORDS");
});

test("a location that is away gives one clear error; the others work, and it works again when it is back", async () => {
  const cold = join(home, "cold");
  const away = `The folder '${cold}/buffers' is missing; mount its disk`;
  const [stored, given] = [await newBuffer(["--location", "cold"], "cold words"), await newBuffer([], "fast words")];
  await rename(cold, `${cold}-away`);
  // As a mount point is without its disk.
  await mkdir(cold);

  for (const args of [
    ["buffer", "read", stored],
    ["buffer", "create", "--location", "cold"],
  ]) {
    expect(await stack.tyger(args)).toMatchObject({ code: 1, stderr: expect.stringContaining(away) });
  }
  expect(await showRun(stack, await run(stored, undefined))).toMatchObject({
    status: "Failed",
    statusReason: expect.stringContaining(away),
  });
  const works = async (): Promise<void> => {
    const id = await run(given, undefined);
    const { status, job } = await showRun(stack, id);
    expect([status, await tyger(["buffer", "read", job.buffers["output"] ?? ""])]).toEqual(["Succeeded", "FAST WORDS"]);
    expect(await tyger(["run", "logs", id])).toBe("[main] shouted\n");
  };
  await works();

  await tyger(["down"], UP);
  await tyger(["up"], UP);
  const reported = (await readFile(join(stack.dataDir, "state/api.log"), "utf8"))
    .split("\n")
    .filter((line) => line.includes("a location is away"));
  expect(reported).toEqual([expect.stringContaining(`"location":"cold"`)]);
  await works();
  expect(await readdir(cold)).toEqual([]);

  await rmdir(cold);
  await rename(`${cold}-away`, cold);
  expect(await tyger(["buffer", "read", stored])).toBe("cold words");
});
