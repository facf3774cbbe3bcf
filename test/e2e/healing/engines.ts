import { readlink } from "node:fs/promises";
import { join } from "node:path";
import { expect, inject } from "vitest";
import { processesIn } from "../../../stack/host/processes.ts";
import { eventually } from "../../eventually.ts";
import type { TestEngine } from "../engine.ts";
import { createRun, pidOf } from "../stack.ts";
import {
  areAll,
  areCleanedUp,
  containersOfRuns,
  docker,
  endJob,
  healed,
  rowOf,
  rowsOf,
  startJobs,
  untilBrokenFor,
  type Scene,
} from "./scene.ts";

/** Takes more and more memory once the file is there. */
const EATS_MEMORY = "until test -e /tmp/eat; do sleep 0.1; done; x=x; while true; do x=$x$x; done";
const LONG = { withinMs: 100_000, everyMs: 500 };

/** Rows 3 and 20: Postgres does not answer for a minute, in which one job exits, and another one's container is pruned. */
export async function suspendPostgres(scene: Scene): Promise<void> {
  const { stack, installation } = scene;
  const [through = "", exited = "", pruned = ""] = await startJobs(scene, 3);
  const folder = join(stack.dataDir, "postgres");
  const data = join(await readlink(folder).catch(() => folder), "data");
  const servers = processesIn(data);
  expect(servers.length).toBeGreaterThan(1);
  for (const { pid } of servers) process.kill(pid, "SIGSTOP");
  const sinceMs = Date.now();
  // The worker must not see how that one ends.
  const worker = await pidOf(stack, "worker");
  process.kill(worker, "SIGSTOP");
  await endJob(scene, pruned);
  const stateOf = async (id: string) => (await containersOfRuns(scene, [id]))[0]?.state;
  await eventually(async () => (await stateOf(pruned)) === "exited");
  await docker(scene, "container", "prune", "--force", "--filter", `label=tyger-installation=${installation}`);
  expect(await stateOf(pruned)).toBeUndefined();
  process.kill(worker, "SIGCONT");
  await endJob(scene, exited);
  await untilBrokenFor(60, sinceMs);
  for (const { pid } of servers) process.kill(pid, "SIGCONT");
  await healed("rows 3 and 20, Postgres unreachable for a minute, and a container pruned", async () => {
    const statuses = (await rowsOf(scene, [through, exited, pruned])).map(({ status }) => status);
    return statuses.join(" ") === "Running Succeeded Failed" && areCleanedUp(scene, [exited, pruned]);
  });
  expect((await rowOf(scene, pruned)).status_reason).toBe("The container disappeared; its exit code is unknown");
  await endJob(scene, through);
  await eventually(() => areAll(scene, [through], "Succeeded"), LONG);
  expect(scene.startsOf(through)).toBe(1);
}

/** Row 3: Postgres is read-only for a minute, in which one job exits and one run is canceled; nothing is lost or refused for long. */
export async function denyWrites(scene: Scene): Promise<void> {
  const { sql, stack } = scene;
  const [through = "", exited = "", canceled = ""] = await startJobs(scene, 3);
  const setReadOnly = async (isReadOnly: boolean): Promise<void> => {
    await sql`set transaction_read_only = off`;
    await sql.unsafe(`alter system set default_transaction_read_only = ${isReadOnly ? "on" : "off"}`);
    await sql`select pg_reload_conf()`;
  };
  await setReadOnly(true);
  const sinceMs = Date.now();
  const refused = await stack.tyger(["run", "cancel", canceled], { limitMs: 90_000 });
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("The database is not available") });
  await endJob(scene, exited);
  expect((await stack.tyger(["run", "show", through])).code).toBe(0);
  await untilBrokenFor(60, sinceMs);
  await setReadOnly(false);
  await healed("row 3, Postgres read-only for a minute", async () => {
    const isDone = await areAll(scene, [exited], "Succeeded");
    return isDone && areCleanedUp(scene, [exited]);
  });
  expect((await stack.tyger(["run", "cancel", canceled])).code).toBe(0);
  await eventually(() => areAll(scene, [canceled], "Canceled"), LONG);
  await endJob(scene, through);
  await eventually(() => areAll(scene, [through], "Succeeded"), LONG);
  for (const id of [through, exited, canceled]) expect(scene.startsOf(id)).toBe(1);
}

/** Row 5: a job runs out of memory, which its reason names. */
export async function starveJob(scene: Scene): Promise<void> {
  const id = await createRun(scene.stack, inject("testImage"), EATS_MEMORY, {});
  await eventually(() => areAll(scene, [id], "Running"), LONG);
  const [container] = await containersOfRuns(scene, [id]);
  await docker(scene, "update", "--memory", "16m", "--memory-swap", "16m", container?.id ?? "");
  await docker(scene, "exec", container?.id ?? "", "touch", "/tmp/eat");
  await healed("row 5, a job out of memory", async () => {
    const isDone = await areAll(scene, [id], "Failed");
    return isDone && areCleanedUp(scene, [id]);
  });
  expect((await rowOf(scene, id)).status_reason).toBe(
    "Main exited with code 137: The container ran out of memory (OOMKilled)",
  );
}

/** Row 5: a container is killed; then the engine restarts, which ends the others. */
export async function restartEngine(scene: Scene, engine: TestEngine): Promise<void> {
  const [killed = "", ...others] = await startJobs(scene, 3);
  const [container] = await containersOfRuns(scene, [killed]);
  await docker(scene, "kill", container?.id ?? "");
  await healed("row 5, a container killed", () => areAll(scene, [killed], "Failed"));
  expect((await rowOf(scene, killed)).status_reason).toBe(
    "Main exited with code 137: Killed (SIGKILL): by a user, or because memory ran out",
  );

  await engine.stop();
  await engine.start();
  await healed("row 5, the Docker engine restarted", async () => {
    const isDone = await areAll(scene, others, "Failed");
    return isDone && areCleanedUp(scene, others);
  });
  for (const row of await rowsOf(scene, others)) expect(row.status_reason).toMatch(/^Main exited with code 1(37|43)/);
  const [next = ""] = await startJobs(scene, 1);
  await endJob(scene, next);
  await eventually(() => areAll(scene, [next], "Succeeded"), LONG);
}
