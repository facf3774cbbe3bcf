import { spawn } from "node:child_process";
import { appendFile, readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from "vitest";
import { readProcessRecord } from "../../stack/supervisor/process-record.ts";
import { identify, processesIn, type ProcessIdentity } from "../../stack/host/processes.ts";
import { eventually } from "../eventually.ts";
import { containersOf, copyPackage, createRun, run, showRun, startStack, type TestStack } from "./stack.ts";

const BOTH = { inputs: ["input"], outputs: ["output"] };
/** Goes on until its input ends, so that a test decides when. */
const COPY = 'echo begun; cat "$INPUT_PIPE" > "$OUTPUT_PIPE"';

let stack: TestStack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack?.down();
});

/** A job in flight: its container runs and waits for its input. */
async function begin(): Promise<{
  id: string;
  input: string;
  output: string;
  container: string;
  pumps: ProcessIdentity[];
}> {
  const id = await createRun(stack, inject("testImage"), COPY, BOTH);
  await eventually(async () => (await stack.tyger(["run", "logs", id])).stdout.toString().includes("begun"), {
    withinMs: 20_000,
  });
  const { input = "", output = "" } = (await showRun(stack, id)).job.buffers;
  const [container = ""] = await containersOf(stack, Number(id));
  return { id, input, output, container, pumps: await pumpsOf(id) };
}

/** The processes that move the bytes of a run: they work in its folder. */
async function pumpsOf(id: string): Promise<ProcessIdentity[]> {
  const all = join(stack.dataDir, "runs");
  const name = (await readdir(all)).find((other) => other.startsWith(`${id}-`)) ?? "none";
  const folder = join(all, name);
  return (await readdir(folder).catch(() => [])).flatMap((attempt) => processesIn(join(folder, attempt)));
}

/** Gives the job what it waits for: it has to end with all of it, in the container that it began in. */
async function finish({ id, input, output, container }: Awaited<ReturnType<typeof begin>>): Promise<void> {
  const said = `${id} is whole\n`.repeat(1000);
  expect(await containersOf(stack, Number(id))).toEqual([container]);
  const reading = stack.tyger(["buffer", "read", output]);
  expect((await stack.tyger(["buffer", "write", input], { input: said })).code).toBe(0);
  const read = await reading;
  expect({ code: read.code, whole: read.stdout.toString() === said }).toEqual({ code: 0, whole: true });
  await eventually(async () => (await showRun(stack, id)).status === "Succeeded", { withinMs: 20_000 });
}

const up = async () => expect(await stack.tyger(["up"], { limitMs: 150_000 })).toMatchObject({ code: 0 });

test("a job keeps running while the stack is down, and the next up takes it over", async () => {
  const job = await begin();
  expect((await stack.tyger(["down"])).code).toBe(0);
  const shown = await run("docker", ["inspect", "--format", "{{.State.Running}}", job.container], { env: stack.env });
  expect(shown.stdout.toString()).toBe("true\n");
  await up();
  await finish(job);
});

test("a newer version takes over the jobs of the older one", async () => {
  const job = await begin();
  const versionOf = async () => / version (\w+)/.exec((await stack.tyger(["status"])).stdout.toString())?.[1];
  const before = await versionOf();
  const newer = await copyPackage(stack, "newer");
  await appendFile(join(newer, "dist/worker.js"), "\n// newer\n");

  const { code, stderr } = await stack.shell(`${newer}/bin/tyger up`, { limitMs: 150_000 });
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining("of another version") });
  expect(await versionOf()).not.toBe(before);
  await finish(job);
  // And back, as a user does who returns to the version that worked.
  await up();
  expect(await versionOf()).toBe(before);
});

test("down --cancel ends the jobs first, and they are canceled", async () => {
  const job = await begin();
  expect((await stack.tyger(["down", "--cancel"])).code).toBe(0);
  const listed = await run("docker", ["ps", "--quiet", "--no-trunc", "--filter", `id=${job.container}`], {
    env: stack.env,
  });
  expect(listed.stdout.toString()).toBe("");
  await eventually(() => job.pumps.every(({ pid }) => identify(pid) === undefined));
  await up();
  expect(await showRun(stack, job.id)).toMatchObject({ status: "Canceled" });
});

test("after a power failure up starts the stack, the run has failed, and the next run works", async () => {
  const job = await begin();
  const record = readProcessRecord(join(stack.dataDir, "state"));
  if (!record) throw new Error("The stack has no record of its processes");
  const database = await readlink(join(stack.dataDir, "postgres")).catch(() => join(stack.dataDir, "postgres"));
  const postgres = join(database, "data");
  expect(job.pumps).toHaveLength(1);
  // The supervisor first, for it would start the others again.
  const servers = Object.values(record.processes);
  for (const { pid } of [record.supervisor, ...servers, ...processesIn(postgres), ...job.pumps]) {
    if (identify(pid)) process.kill(pid, "SIGKILL");
  }
  await run("docker", ["kill", job.container], { env: stack.env });
  await eventually(() => processesIn(postgres).length === 0 && servers.every(({ pid }) => !identify(pid)));

  // The record that was left behind names processes that belong to another user by now.
  const stranger = spawn("sleep", ["600"], { stdio: "ignore", cwd: "/" });
  onTestFinished(() => void stranger.kill());
  const pid = stranger.pid ?? 0;
  const reused = Object.entries(record.processes).map(([name, one]) => [name, { ...one, pid }]);
  const stale = { ...record, supervisor: { ...record.supervisor, pid }, processes: Object.fromEntries(reused) };
  await writeFile(join(stack.dataDir, "state/processes.json"), JSON.stringify(stale));
  const pidFile = join(postgres, "postmaster.pid");
  await writeFile(pidFile, (await readFile(pidFile, "utf8")).replace(/^\d+/, String(pid)));

  await up();
  expect(identify(pid)).toBeDefined();
  await eventually(async () => (await showRun(stack, job.id)).status === "Failed", { withinMs: 60_000 });
  expect((await showRun(stack, job.id)).statusReason).toMatch(/streams the buffers|137|killed/i);
  const read = await stack.tyger(["buffer", "read", job.output]);
  expect({ code: read.code, stderr: read.stderr }).toEqual({
    code: 1,
    stderr: expect.stringContaining("permanently failed"),
  });
  await eventually(async () => (await containersOf(stack, Number(job.id))).length === 0, { withinMs: 20_000 });
  await finish(await begin());
});
