import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Client, Connection } from "@temporalio/client";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { eventually } from "../eventually.ts";
import type * as Programs from "../../workflows/programs.ts";
import { buildRelease } from "./release.ts";
import {
  containersOf,
  enginesOf,
  installationOf,
  makeStack,
  run,
  type CommandResult,
  type ShownRun,
  type TestStack,
} from "./stack.ts";

/** The last release before the tree was restructured. Data and runs of it must survive every later upgrade. */
const RELEASE = "aac13fe5a880958096829167b39744c5c68f7d84";
const BUILD_MS = 600_000;
/** A busy machine takes its time to start containers and engines. */
const PATIENT = { withinMs: 60_000, everyMs: 200 };
const BOTH = { inputs: ["input"], outputs: ["output"] };
/** Ends when its input ends, so the test decides when. */
const COPY = 'echo begun; cat "$INPUT_PIPE" > "$OUTPUT_PIPE"; echo copied';

/** A launcher of some version, in the environment of the stack. */
type Command = (
  args: readonly string[],
  options?: { input?: string | Buffer; limitMs?: number },
) => Promise<CommandResult>;

let stack: TestStack;
let oldLauncher: string;
let oldTyger: Command;
let newTyger: Command;

beforeAll(async () => {
  oldLauncher = await buildRelease(RELEASE);
  // As many runs are live at a time as the test keeps going; the others queue.
  stack = await makeStack({ env: { TYGER_MAX_LIVE_RUNS: "4" } });
  oldTyger = (args, options) => run(oldLauncher, args, { env: stack.env, ...options });
  newTyger = (args, options) => stack.tyger(args, options);
  await succeed(oldTyger, ["up"], { limitMs: 180_000 });
}, BUILD_MS);

afterAll(async () => {
  await stack?.down();
});

/** Runs a command that must succeed, and returns its standard output. */
async function succeed(tyger: Command, args: readonly string[], options: Parameters<Command>[1] = {}): Promise<Buffer> {
  const { code, stdout, stderr } = await tyger(args, options);
  expect({ command: args.join(" "), code, stderr }).toMatchObject({ code: 0 });
  return stdout;
}

const text = async (tyger: Command, args: readonly string[]) => (await succeed(tyger, args)).toString();
const json = async (tyger: Command, args: readonly string[]): Promise<unknown> => JSON.parse(await text(tyger, args));
const show = async (tyger: Command, id: string) => (await json(tyger, ["run", "show", id])) as ShownRun;
const statusOf = async (tyger: Command, id: string) => (await show(tyger, id)).status;
const buffersOf = async (tyger: Command, id: string) => {
  const { input = "", output = "" } = (await show(tyger, id)).job.buffers;
  return { input, output };
};

/** A run file of a shell script. */
async function runFile(name: string, script: string, buffers: object, replicas?: number): Promise<string> {
  const path = join(stack.env["HOME"] ?? "", `${name}.yml`);
  const codespec = { kind: "job", image: inject("testImage"), buffers, command: ["bash", "-c", script] };
  await writeFile(path, JSON.stringify({ job: { codespec, replicas }, tags: { script: name, story: "upgrade" } }));
  return path;
}

/** Creates a run with the old release, and returns its id. */
async function create(name: string, script: string, buffers: object = {}, replicas?: number): Promise<string> {
  return (await text(oldTyger, ["run", "create", "-f", await runFile(name, script, buffers, replicas)])).trim();
}

/** Creates a run with the old release and waits until its job has printed its first line. */
async function begin(name: string, script: string, buffers: object = {}, replicas?: number): Promise<string> {
  const id = await create(name, script, buffers, replicas);
  await eventually(async () => (await text(oldTyger, ["run", "logs", id])).includes("begun"), PATIENT);
  return id;
}

/** Runs the main job in the old release with standard input left open. */
function openExec(file: string) {
  const child = spawn(oldLauncher, ["run", "exec", "-f", file], { env: stack.env, stdio: ["pipe", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString("latin1")));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const closed = once(child, "close") as Promise<[number | null]>;
  return {
    stdin: child.stdin,
    output: () => stdout,
    async runId(): Promise<string> {
      return eventually(() => /runId=(\d+)/.exec(stderr)?.[1], PATIENT);
    },
    async end(): Promise<{ code: number | null; stdout: string; stderr: string }> {
      const [code] = await closed;
      return { code, stdout, stderr };
    },
    kill: () => child.kill("SIGKILL"),
  };
}

/** Lines with a number each: a byte that is lost or doubled shows. */
const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `line ${from + i} of the input\n`).join("");

async function bytesOf(tyger: Command, id: string): Promise<object> {
  const { code, stdout } = await tyger(["buffer", "read", id]);
  return { code, stdout: stdout.toString("base64") };
}

/** Everything that the commands show of the data that no longer changes. */
async function shown(tyger: Command, ended: readonly string[], buffers: readonly string[]): Promise<object> {
  const perRun = ended.map(async (id) => ({
    run: await json(tyger, ["run", "show", id]),
    logs: await text(tyger, ["run", "logs", id]),
    stamped: await text(tyger, ["run", "logs", id, "--timestamps"]),
    lastLine: await text(tyger, ["run", "logs", id, "--tail", "1"]),
    followed: await text(tyger, ["run", "logs", id, "--follow"]),
    watched: JSON.parse(await text(tyger, ["run", "watch", id, "--full-resource"])),
  }));
  const perBuffer = buffers.map(async (id) => ({
    buffer: await json(tyger, ["buffer", "show", id]),
    bytes: await bytesOf(tyger, id),
  }));
  return {
    runs: await Promise.all(perRun),
    buffers: await Promise.all(perBuffer),
    ...(await lists(tyger)),
    codespecs: await json(tyger, ["codespec", "list"]),
    latest: await json(tyger, ["codespec", "show", "upper"]),
    first: await json(tyger, ["codespec", "show", "upper", "--version", "1"]),
  };
}

/** Lists and counts, in which runs that are still open show, too. */
const lists = async (tyger: Command) => ({
  all: await json(tyger, ["run", "list"]),
  tagged: await json(tyger, ["run", "list", "--tag", "story=upgrade"]),
  failed: await json(tyger, ["run", "list", "--status", "failed", "--status", "canceled"]),
  counts: await json(tyger, ["run", "counts"]),
  taggedCounts: await json(tyger, ["run", "counts", "--tag", "story=upgrade"]),
});

test("an upgrade from the release before the restructuring keeps every run, log, list and buffer", async () => {
  // Ended runs of each kind, with logs.
  const image = inject("testImage");
  const codespec = ["codespec", "create", "upper", "--image", image, "-i", "input", "-o", "output", "--command", "--"];
  expect(await text(oldTyger, [...codespec, "true"])).toBe("1\n");
  const shouting = 'tr a-z A-Z < "$INPUT_PIPE" > "$OUTPUT_PIPE"; echo shouted; echo "to the end" >&2';
  expect(await text(oldTyger, [...codespec, "bash", "-c", shouting])).toBe("2\n");
  const exec = ["run", "exec", "--codespec", "upper", "--tag", "story=upgrade", "--buffer-tag", "of=exec"];
  const said = await oldTyger(exec, { input: "some words" });
  expect({ said: said.stdout.toString(), stderr: said.stderr }).toMatchObject({ said: "SOME WORDS" });
  const succeeded = /runId=(\d+)/.exec(said.stderr)?.[1] ?? "";
  const failed = await create("failing", "echo some; echo more >&2; exit 3");
  const canceled = await begin("sleeping", "echo begun; exec sleep 600", { outputs: ["output"] });
  await succeed(oldTyger, ["run", "cancel", canceled]);
  const ended = [succeeded, failed, canceled];
  await eventually(async () => {
    const states = await Promise.all(ended.map((id) => statusOf(oldTyger, id)));
    return states.join() === "Succeeded,Failed,Canceled";
  }, PATIENT);
  await eventually(async () => (await containersOf(stack)).length === 0, PATIENT);

  // Buffers with several blocks, with nothing, and without an end.
  const bytes = Buffer.from(lines(0, 400_000));
  const newBuffer = async (name: string) =>
    (await text(oldTyger, ["buffer", "create", "--tag", `name=${name}`, "--tag", "story=upgrade"])).trim();
  const [full, empty, unwritten] = await Promise.all([newBuffer("full"), newBuffer("empty"), newBuffer("unwritten")]);
  await succeed(oldTyger, ["buffer", "write", full], { input: bytes });
  await succeed(oldTyger, ["buffer", "write", empty], { input: "" });
  const spent = await buffersOf(oldTyger, succeeded);
  const cutOff = await show(oldTyger, canceled);
  const finished = [full, empty, spent.input, spent.output, cutOff.job.buffers["output"] ?? ""];

  // Live runs: in the middle of its stream, waiting for its input, and about to be canceled by a user and by a program.
  const streaming = openExec(await runFile("streaming", COPY, BOTH));
  const streamingId = await streaming.runId();
  const firstHalf = lines(0, 5000);
  streaming.stdin.write(firstHalf);
  await eventually(() => streaming.output() === firstHalf, PATIENT);
  // The old release ignored the number of replicas, also beside outputs.
  const waiting = await begin("waiting", COPY, BOTH, 3);
  const part = 'exec 3> "$OUTPUT_PIPE"; echo part >&3; echo begun; exec sleep 600';
  const doomed = await begin("doomed", part, { outputs: ["output"] });
  const doomedToo = await begin("doomed-too", "echo begun; exec sleep 600");
  const live = [streamingId, waiting, doomed, doomedToo];
  // And those for which no slot is free, one of them without buffers.
  const queued = [await create("queued", COPY, BOTH), await create("queued-too", "echo done", {}, 2)];
  const open = [...live, ...queued];
  await eventually(async () => {
    const states = await Promise.all(open.map((id) => statusOf(oldTyger, id)));
    return states.join() === "Running,Running,Running,Running,Pending,Pending";
  }, PATIENT);
  const before = await shown(oldTyger, ended, finished);
  const openBefore = await Promise.all(open.map((id) => json(oldTyger, ["run", "show", id])));
  const containers = await Promise.all(live.map((id) => containersOf(stack, Number(id))));
  expect(containers.map((of) => of.length)).toEqual([1, 1, 1, 1]);
  const oldVersion = await versionOf(oldTyger);
  // The runs of this release are known by their numbers alone.
  expect(await foldersOfRuns()).toEqual(live.map(String).toSorted());
  expect(await archivedLogs()).toEqual(ended.map((id) => `${id}.log`).toSorted());

  await succeed(newTyger, ["up"], { limitMs: 180_000 });

  expect(await versionOf(newTyger)).not.toBe(oldVersion);
  expect(await shown(newTyger, ended, finished)).toEqual(before);
  expect(await Promise.all(open.map((id) => json(newTyger, ["run", "show", id])))).toEqual(openBefore);
  expect(await Promise.all(live.map((id) => containersOf(stack, Number(id))))).toEqual(containers);
  expect(await foldersOfRuns()).toEqual(live.map(String).toSorted());
  expect(await text(newTyger, ["run", "logs", waiting])).toContain("begun");
  // A client of the old release works with the new server.
  expect(await shown(oldTyger, ended, finished)).toEqual(before);

  // The job in the middle of its stream ends with all of it, in the command that was there before the upgrade.
  const secondHalf = lines(5000, 10_000);
  streaming.stdin.end(secondHalf);
  const streamed = await streaming.end();
  expect({
    code: streamed.code,
    isWhole: streamed.stdout === firstHalf + secondHalf,
    stderr: streamed.stderr,
  }).toMatchObject({
    code: 0,
    isWhole: true,
  });
  // The job that waited is given its input by the new release.
  await feed(waiting);
  // No other run gets the output of a run that the old release began, and each gets an end.
  const claimed = (await buffersOf(newTyger, queued[0] ?? "")).output;
  const taken = await newTyger([...exec, "-b", `output=${claimed}`], { input: "" });
  expect(taken).toMatchObject({ code: 1, stderr: expect.stringContaining(`an output of the run '${queued[0]}'`) });
  // The signal of a cancel arrives in a run that the old release began.
  await succeed(newTyger, ["run", "cancel", doomed]);
  await eventually(async () => (await statusOf(newTyger, doomed)) === "Canceled", PATIENT);
  await cancelFromProgram(doomedToo);
  await eventually(async () => (await statusOf(newTyger, doomedToo)) === "Canceled", PATIENT);
  expect(await json(newTyger, ["run", "show", doomed])).toMatchObject({ statusReason: "Canceled by user" });
  const cut = await newTyger(["buffer", "read", (await buffersOf(newTyger, doomed)).output]);
  expect(cut).toMatchObject({ code: 1, stderr: expect.stringContaining("permanently failed state") });
  // The slots are free now, so the queued runs are admitted.
  await feed(queued[0] ?? "");
  await eventually(async () => (await statusOf(newTyger, queued[1] ?? "")) === "Succeeded", PATIENT);
  expect(await text(newTyger, ["run", "logs", queued[1] ?? ""])).toBe("done\n");
  expect(await json(newTyger, ["run", "counts"])).toEqual({ canceled: 3, failed: 1, succeeded: 5 });

  // The old data takes part in new runs.
  await succeed(newTyger, ["buffer", "write", unwritten], { input: "late words" });
  const again = await newTyger(["run", "exec", "--codespec", "upper", "-b", `input=${unwritten}`]);
  expect({ said: again.stdout.toString(), stderr: again.stderr }).toMatchObject({ said: "LATE WORDS" });
  expect(await text(newTyger, [...codespec, "bash", "-c", shouting])).toBe("2\n");
  expect(await text(newTyger, [...codespec, "false"])).toBe("3\n");
  await eventually(async () => (await containersOf(stack)).length === 0, PATIENT);
  expect(await text(newTyger, ["run", "logs", waiting])).toBe("[main] begun\n[main] copied\n");

  // Nothing of the old runs is left but their logs, under their numbers; those of new runs have their uid next to it.
  await eventually(async () => (await foldersOfRuns()).length === 0, PATIENT);
  const fresh = /runId=(\d+)/.exec(again.stderr)?.[1] ?? "";
  const logs = await archivedLogs();
  expect(logs.filter((name) => !name.includes("-"))).toEqual([...ended, ...open].map((id) => `${id}.log`).toSorted());
  expect(logs.filter((name) => name.includes("-"))).toEqual([
    expect.stringMatching(new RegExp(`^${fresh}-[a-z2-7]{16}\\.log$`)),
  ]);
  expect(await json(newTyger, ["run", "show", fresh])).not.toHaveProperty("uid");

  // With another location as the default, everything older is found in the data folder.
  const older = async () => ({
    logs: await Promise.all(ended.map((id) => text(newTyger, ["run", "logs", id]))),
    buffers: await Promise.all(finished.map((id) => bytesOf(newTyger, id))),
  });
  const olderBefore = await older();
  await succeed(newTyger, ["down"], { limitMs: 60_000 });
  const disk = join(stack.env["HOME"] ?? "", "disk");
  await mkdir(disk);
  stack.env["TYGER_CONFIG"] = `${disk}.yml`;
  await writeFile(`${disk}.yml`, "locations: [{ name: disk, folder: disk }]");
  await succeed(newTyger, ["up"], { limitMs: 180_000 });
  expect(await older()).toEqual(olderBefore);
  const moved = await newTyger(["run", "exec", "--codespec", "upper", "--version", "2", "-b", `input=${unwritten}`]);
  expect({ said: moved.stdout.toString(), stderr: moved.stderr }).toMatchObject({ said: "LATE WORDS" });
  await eventually(async () => (await readdir(join(disk, "logs"))).length > 0, PATIENT);
}, 600_000);

const foldersOfRuns = async () => (await readdir(join(stack.dataDir, "runs"))).toSorted();
const archivedLogs = async () => (await readdir(join(stack.dataDir, "logs/0"))).toSorted();

/** Asks and cancels a run with what a TypeScript program imported from the old release. */
async function cancelFromProgram(id: string): Promise<void> {
  const old = (await import(join(dirname(oldLauncher), "../dist/programs.js"))) as typeof Programs;
  const connection = await Connection.connect({ address: (await enginesOf(stack)).temporal });
  try {
    const workflowId = old.workflowIdOf(await installationOf(stack), Number(id));
    const handle = new Client({ connection }).workflow.getHandle(workflowId);
    expect(await handle.query(old.currentRun)).toMatchObject({ runId: Number(id), cancelRequested: false });
    await handle.signal(old.cancelRun);
  } finally {
    await connection.close();
  }
}

const versionOf = async (tyger: Command) => / version (\w+)/.exec(await text(tyger, ["status"]))?.[1];

/** Gives a run its input with the new release: it has to end with all of it. */
async function feed(id: string): Promise<void> {
  const { input, output } = await buffersOf(newTyger, id);
  const said = lines(0, 100_000);
  const reading = newTyger(["buffer", "read", output]);
  await succeed(newTyger, ["buffer", "write", input], { input: said });
  const read = await reading;
  expect({ id, code: read.code, isWhole: read.stdout.toString() === said }).toEqual({ id, code: 0, isWhole: true });
  await eventually(async () => (await statusOf(newTyger, id)) === "Succeeded", PATIENT);
}
