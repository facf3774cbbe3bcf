import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client, Connection } from "@temporalio/client";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { workflowIdOf } from "../../model/run/names.ts";
import { processesIn } from "../../stack/host/processes.ts";
import { eventually } from "../eventually.ts";
import {
  containersOf,
  createRun,
  enginesOf,
  installationOf,
  pidOf,
  run,
  showRun,
  startStack,
  type ShownRun,
  type TestStack,
} from "./stack.ts";

/** A busy machine takes its time to start containers. */
const PATIENT = { withinMs: 90_000, everyMs: 200 };
/** The host name of a replica ends with its index. */
const INDEX = 'index="${HOSTNAME##*-}"';
/** Counts what it reads, until its input ends, so that the test decides when. */
const COUNT = `${INDEX}; echo "begun $index"; wc -c < "$INPUT_PIPE"`;

const COMMAND = ["bash", "-c", COUNT];

let stack: TestStack;
let installation: string;
beforeAll(async () => {
  stack = await startStack();
  installation = await installationOf(stack);
});
afterAll(async () => {
  await stack?.down();
});

const create = (count: number, script: string, inputs: string[] = []): Promise<string> =>
  createRun(stack, inject("testImage"), script, { inputs }, ["-r", `${count}`]);
const show = (id: string) => showRun(stack, id) as Promise<ShownRun & { runningCount?: number }>;
const isOpen = ({ status }: ShownRun): boolean => ["Pending", "Running", "Canceling"].includes(status);
const ended = (id: string): Promise<ShownRun> =>
  eventually(async () => {
    const shown = await show(id);
    return isOpen(shown) ? undefined : shown;
  }, PATIENT);
const logOf = async (id: string, ...flags: string[]): Promise<string[]> =>
  (await stack.tyger(["run", "logs", id, ...flags])).stdout.toString().split("\n").filter(Boolean);
const removed = (id: string) => eventually(async () => (await containersOf(stack, Number(id))).length === 0, PATIENT);

/** Waits until all replicas have printed that they have begun. */
const begun = (id: string, count: number) =>
  eventually(async () => (await logOf(id)).filter((line) => line.includes("begun")).length === count, PATIENT);

/** The names of the containers of a run. */
async function namesOf(id: string): Promise<string[]> {
  const filter = ["--filter", `label=tyger-run=${id}`, "--filter", `label=tyger-installation=${installation}`];
  const listed = await run("docker", ["ps", "-a", ...filter, "--format", "{{.Names}}"], { env: stack.env });
  return listed.stdout.toString().split("\n").filter(Boolean).toSorted();
}

/** The folders of a run in which a pump works. */
async function pumpFoldersOf(id: string): Promise<string[]> {
  const all = join(stack.dataDir, "runs");
  const folder = join(all, (await readdir(all)).find((name) => name.startsWith(`${id}-`)) ?? "none");
  const attempts = (await readdir(folder)).map((attempt) => join(folder, attempt));
  return attempts.filter((attempt) => processesIn(attempt).length === 1);
}

async function write(id: string, input: Buffer): Promise<void> {
  const buffer = (await show(id)).job.buffers["input"] ?? "";
  expect(await stack.tyger(["buffer", "write", buffer], { input })).toMatchObject({ code: 0 });
}

/** How often a container of the run was started, since `sinceS`. */
async function startsOf(id: string, sinceS: number): Promise<number> {
  const filters = [`label=tyger-installation=${installation}`, `label=tyger-run=${id}`, "event=start"];
  const until = Math.ceil(Date.now() / 1000) + 1;
  const events = ["events", "--since", `${sinceS}`, "--until", `${until}`, ...filters.flatMap((f) => ["--filter", f])];
  const starts = await run("docker", events, { env: stack.env });
  return starts.stdout.toString().split("\n").filter(Boolean).length;
}

describe("a run with three replicas", () => {
  test("has three containers with pipes and a pump each over the same input, and one log with prefixes", async () => {
    const id = await create(3, COUNT, ["input"]);
    await begun(id, 3);
    const name = `tyger-${installation}-run-${id}-main`;
    expect(await namesOf(id)).toEqual([name, `${name}-1`, `${name}-2`]);
    expect(await pumpFoldersOf(id)).toHaveLength(3);
    await eventually(async () => (await show(id)).runningCount === 3, PATIENT);
    const following = logOf(id, "--follow");
    const lines = ["[job-0][main] begun 0", "[job-1][main] begun 1", "[job-2][main] begun 2"];
    expect((await logOf(id)).toSorted()).toEqual(lines);

    const input = Buffer.alloc(5_000_000, "some words\n");
    await write(id, input);
    expect(await ended(id)).toMatchObject({ status: "Succeeded" });
    expect(await show(id)).not.toHaveProperty("runningCount");
    const all = [...lines, ...[0, 1, 2].map((index) => `[job-${index}][main] ${input.length}`)].toSorted();
    expect((await following).toSorted()).toEqual(all);
    await removed(id);
    expect((await logOf(id)).toSorted()).toEqual(all);
    expect(await logOf(id, "--tail", "2")).toHaveLength(2);
    const stamps = (await logOf(id, "--timestamps")).map((line) => line.split(" ", 1)[0] ?? "");
    expect(stamps).toEqual(stamps.toSorted());
  });

  test("without buffers has the replicas alone as prefixes; one replica has none, and no count", async () => {
    const [several, single] = [await create(3, `${INDEX}; echo "I am $index"`), await create(1, "echo alone; sleep 3")];
    await eventually(async () => (await show(single)).status === "Running", PATIENT);
    expect(await show(single)).not.toHaveProperty("runningCount");
    for (const id of [several, single]) expect(await ended(id)).toMatchObject({ status: "Succeeded" });
    expect((await logOf(several)).toSorted()).toEqual(["[job-0] I am 0", "[job-1] I am 1", "[job-2] I am 2"]);
    expect(await logOf(single)).toEqual(["alone"]);
  });

  test("is canceled as a whole", async () => {
    const id = await create(3, `${INDEX}; echo "begun $index"; trap '' TERM; sleep 600`, ["input"]);
    await begun(id, 3);
    await stack.tyger(["run", "cancel", id]);
    expect(await ended(id)).toMatchObject({ status: "Canceled", statusReason: "Canceled by user" });
    await removed(id);
    expect((await logOf(id)).toSorted()).toEqual([0, 1, 2].map((index) => `[job-${index}][main] begun ${index}`));
  });

  test("ends with the first replica that fails, and the others are stopped", async () => {
    const script = `${INDEX}; echo "begun $index"; [ $index = 1 ] && { sleep 3; exit 3; }; exec sleep 600`;
    const id = await create(3, script, ["input"]);
    expect(await ended(id)).toMatchObject({ status: "Failed", statusReason: "Main exited with code 3 (replica 1)" });
    await removed(id);
    expect((await logOf(id)).toSorted()).toEqual([0, 1, 2].map((index) => `[job-${index}][main] begun ${index}`));
  });

  test("survives kill -9 of the worker in mid-run: each container ran once, and reads all of the input", async () => {
    const since = Math.floor(Date.now() / 1000);
    const id = await create(3, COUNT, ["input"]);
    await begun(id, 3);
    process.kill(await pidOf(stack, "worker"), "SIGKILL");
    const input = Buffer.alloc(1_000_000, "some words\n");
    await write(id, input);
    expect(await ended(id)).toMatchObject({ status: "Succeeded" });
    expect((await logOf(id)).filter((line) => line.endsWith(` ${input.length}`))).toHaveLength(3);
    expect(await startsOf(id, since)).toBe(3);
    await removed(id);
    await eventually(() => pidOf(stack, "worker"), PATIENT);
  });

  test("survives kill -9 of the worker during its launch: each container is started once", async () => {
    const since = Math.floor(Date.now() / 1000);
    const id = await create(12, `${INDEX}; echo "begun $index"; sleep 5`);
    await eventually(async () => (await containersOf(stack, Number(id))).length > 2, { withinMs: 60_000, everyMs: 10 });
    process.kill(await pidOf(stack, "worker"), "SIGKILL");
    expect(await ended(id)).toMatchObject({ status: "Succeeded" });
    expect(await startsOf(id, since)).toBe(12);
    expect(await logOf(id)).toHaveLength(12);
    await removed(id);
  });

  test("fails when the pump of one is killed, and the others are stopped", async () => {
    const id = await create(3, COUNT, ["input"]);
    await begun(id, 3);
    const [folder = ""] = await pumpFoldersOf(id);
    for (const { pid } of processesIn(folder)) process.kill(pid, "SIGKILL");
    const { status, statusReason } = await ended(id);
    expect(status).toBe("Failed");
    expect(statusReason).toMatch(/^The process that streams the buffers died before it finished \(replica [012]\)$/);
    await removed(id);
  });

  test("gets the standard input of its command, each all of it", async () => {
    const file = join(stack.env["HOME"] ?? "", "exec.yml");
    const codespec = { kind: "job", image: inject("testImage"), buffers: { inputs: ["input"] }, command: COMMAND };
    await writeFile(file, JSON.stringify({ job: { codespec } }));
    const exec = ["run", "exec", "-f", file, "-r", "3", "--logs"];
    const { code, stdout, stderr } = await stack.tyger(exec, { input: "some words\n" });
    expect({ code, stdout: stdout.toString(), stderr }).toMatchObject({ code: 0, stdout: "" });
    for (const index of [0, 1, 2]) expect(stderr).toContain(`[job-${index}][main] 11\n`);
  });

  test("fails when one of its containers is removed, and a marked line stands for the log of that one", async () => {
    const id = await create(3, `${INDEX}; echo "begun $index"; exec sleep 600`);
    await begun(id, 3);
    await run("docker", ["rm", "--force", `tyger-${installation}-run-${id}-main-1`], { env: stack.env });
    const { status, statusReason } = await ended(id);
    expect(status).toBe("Failed");
    expect(statusReason).toMatch(
      /^(The container disappeared.* \(replica 1\)|Main exited with code 137 \(replica 1\).*)$/,
    );
    await removed(id);
    expect((await logOf(id)).toSorted()).toEqual([
      "[job-0] begun 0",
      "[job-1][tyger] The container was removed before its log was archived",
      "[job-2] begun 2",
    ]);
  });
});

test("output buffers with more than one replica are refused with a sentence that says why", async () => {
  const creating = createRun(stack, inject("testImage"), "true", { outputs: ["output"] }, ["-r", "2"]);
  await expect(creating).rejects.toThrow(
    "'2' replicas cannot write the output buffer 'output': a buffer is written once, so a run with output buffers has one replica",
  );
});

test("fifty replicas that exit at once succeed, each once, with one message to their workflow", async () => {
  const id = await create(50, `trap 'echo done; exit 0' USR1; ${INDEX}; echo "begun $index"; sleep 600 & wait`);
  await begun(id, 50);
  await eventually(async () => (await show(id)).runningCount === 50, PATIENT);
  const containers = await containersOf(stack, Number(id));
  await run("docker", ["kill", "--signal", "USR1", ...containers], { env: stack.env });
  expect(await ended(id)).toMatchObject({ status: "Succeeded" });
  // A second start would show in the log as well. The engine itself remembers too few events.
  const lines = Array.from({ length: 50 }, (_, index) => [`[job-${index}] begun ${index}`, `[job-${index}] done`]);
  expect((await logOf(id)).toSorted()).toEqual(lines.flat().toSorted());
  await removed(id);
  const connection = await Connection.connect({ address: (await enginesOf(stack)).temporal });
  try {
    const handle = new Client({ connection }).workflow.getHandle(workflowIdOf(installation, Number(id)));
    const { events } = await handle.fetchHistory();
    const signals = (events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes);
    expect(signals).toHaveLength(1);
    expect(events?.length).toBeLessThan(40);
  } finally {
    await connection.close();
  }
});
