import { spawn, type ChildProcess } from "node:child_process";
import { appendFile, open, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { expect, inject } from "vitest";
import { eventually, stays } from "../../eventually.ts";
import { workflowIdOf } from "../../../model/run/names.ts";
import { copyPackage, createRun, pidOf } from "../stack.ts";
import {
  areAll,
  areCleanedUp,
  containersOfRuns,
  createJob,
  endJob,
  healed,
  likeProcess,
  startJobs,
  untilBrokenFor,
  type Scene,
} from "./scene.ts";

const DIST = resolve(import.meta.dirname, "../../../dist");
const LONG = { withinMs: 100_000, everyMs: 500 };

/** Calls `act` synchronously with the next event of this kind of the stack's containers. */
function onNextEvent({ stack, installation }: Scene, event: string, act: () => void): Promise<void> {
  const filters = [`label=tyger-installation=${installation}`, `event=${event}`].flatMap((one) => ["--filter", one]);
  const child = spawn("docker", ["events", ...filters], { env: stack.env, stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((settle, fail) => {
    child.once("error", fail);
    createInterface(child.stdout).once("line", () => {
      act();
      child.kill();
      settle();
    });
  });
}

/** A second worker of the stack, of a version that is not quite the same. */
async function startSecondWorker(scene: Scene): Promise<ChildProcess & { pid: number }> {
  const { stack } = scene;
  const newer = join(await copyPackage(stack, "newer"), "dist");
  await appendFile(join(newer, "worker.js"), "\n// newer\n");
  const like = await likeProcess(await pidOf(stack, "worker"), (text) => text.replace(DIST, newer));
  const log = await open(join(stack.dataDir, "state/second-worker.log"), "a");
  const child = spawn(like.command, like.args, { env: like.env, stdio: ["ignore", log.fd, log.fd] });
  await log.close();
  if (child.pid === undefined) throw new Error("The second worker did not start");
  const ready = join(stack.dataDir, "state/worker.ready");
  await eventually(async () => Number(await readFile(ready, "utf8")) === child.pid, { withinMs: 30_000 });
  return Object.assign(child, { pid: child.pid });
}

/** Rows 16 and 19: a worker stops between create and start of a container; one of another version takes over. */
async function suspendLaunch(scene: Scene): Promise<ChildProcess & { pid: number }> {
  const first = await pidOf(scene.stack, "worker");
  const suspended = onNextEvent(scene, "create", () => process.kill(first, "SIGSTOP"));
  const id = await createJob(scene);
  await suspended;
  const second = await startSecondWorker(scene);
  await healed("rows 16 and 19, a worker suspended in a launch, and one of another version", () =>
    areAll(scene, [id], "Running"),
  );
  const containers = await containersOfRuns(scene, [id]);
  process.kill(first, "SIGCONT");
  // The late start finds its attempt fenced.
  await stays(() => scene.startsOf(id) === 1, { looks: 4, everyMs: 500 });
  expect(await containersOfRuns(scene, [id])).toEqual(containers);
  await endJob(scene, id);
  await eventually(() => areAll(scene, [id], "Succeeded"), LONG);
  return second;
}

async function holderOf({ sql }: Scene): Promise<number> {
  const [row] = await sql<{ holder: string }[]>`select holder from leases where expires_at > clock_timestamp()`;
  // `<host> <pid> <random>`
  const [, pid] = row?.holder.split(" ") ?? [];
  return Number(pid);
}

/** All that is known about these runs, to see whether it changes. */
const snapshotOf = async ({ sql }: Scene, ids: readonly string[]): Promise<string> =>
  JSON.stringify(await sql`select * from runs where id = any(${ids.map(Number)}::bigint[]) order by id`);

/** The holder of the lease is suspended for 90 s in the middle of heals, and does no harm when it wakes up. */
async function suspendHolder(scene: Scene): Promise<void> {
  const { temporal, installation } = scene;
  const ids = await startJobs(scene, 6);
  const holder = await eventually(() => holderOf(scene), { withinMs: 40_000 });
  const suspended = onNextEvent(scene, "die", () => process.kill(holder, "SIGSTOP"));
  for (const id of ids)
    await temporal.workflow.getHandle(workflowIdOf(installation, Number(id))).terminate("by a test");
  await suspended;
  const sinceMs = Date.now();
  expect(await areAll(scene, ids, "Failed")).toBe(false);
  await healed("the holder of the lease suspended in the middle of heals (counted from then on)", async () => {
    const isDone = await areAll(scene, ids, "Failed");
    return isDone && areCleanedUp(scene, ids);
  });
  await untilBrokenFor(90, sinceMs);
  const before = await snapshotOf(scene, ids);
  process.kill(holder, "SIGCONT");
  await stays(async () => (await snapshotOf(scene, ids)) === before, { looks: 20, everyMs: 500 });
  expect(await areCleanedUp(scene, ids)).toBe(true);
  for (const id of ids) {
    expect(scene.startsOf(id)).toBe(1);
    expect((await scene.stack.tyger(["run", "logs", id])).stdout.toString()).toBe("begun\n");
  }
}

/** Row 1: the worker is killed at each boundary of a run's steps. */
async function killWorkers(scene: Scene): Promise<void> {
  const ids: string[] = [];
  for (const event of ["create", "start", "die", "destroy"]) {
    const worker = await pidOf(scene.stack, "worker");
    const killed = onNextEvent(scene, event, () => process.kill(worker, "SIGKILL"));
    ids.push(await createRun(scene.stack, inject("testImage"), "echo said; sleep 1", { outputs: ["output"] }));
    await killed;
    await eventually(async () => (await pidOf(scene.stack, "worker")) !== worker, { withinMs: 20_000, everyMs: 200 });
  }
  await healed("row 1, kill -9 of the worker at create, start, die and destroy", async () => {
    const isDone = await areAll(scene, ids, "Succeeded");
    return isDone && areCleanedUp(scene, ids);
  });
  for (const id of ids) expect(scene.startsOf(id)).toBe(1);
}

/** Row 1: the worker is killed again and again, at no particular moment. */
async function killAtRandom(scene: Scene): Promise<void> {
  const ids: string[] = [];
  const pauses = Array.from({ length: 5 }, () => Math.round(2000 + Math.random() * 8000));
  process.stdout.write(`the worker is killed after ${pauses.join(", ")} ms\n`);
  for (const pauseMs of pauses) {
    for (let count = 0; count < 3; count += 1)
      ids.push(await createRun(scene.stack, inject("testImage"), "echo said; sleep 2", { outputs: ["output"] }));
    await untilBrokenFor(pauseMs / 1000, Date.now());
    const worker = await pidOf(scene.stack, "worker").catch(() => undefined);
    if (worker !== undefined) process.kill(worker, "SIGKILL");
  }
  await healed("row 1, kill -9 of the worker at random", async () => {
    const isDone = await areAll(scene, ids, "Succeeded");
    return isDone && areCleanedUp(scene, ids);
  });
  for (const id of ids) expect(scene.startsOf(id)).toBe(1);
}

export async function loseWorkers(scene: Scene): Promise<void> {
  const second = await suspendLaunch(scene);
  try {
    await suspendHolder(scene);
  } finally {
    second.kill("SIGKILL");
  }
  await killWorkers(scene);
  await killAtRandom(scene);
}
