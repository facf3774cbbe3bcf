import { copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { workflowIdOf } from "../../../model/run/names.ts";
import { eventually } from "../../eventually.ts";
import { pidOf } from "../stack.ts";
import {
  areAll,
  areCleanedUp,
  containersOfRuns,
  createJob,
  endJob,
  healed,
  rowOf,
  rowsOf,
  startJobs,
  terminateAll,
  untilBrokenFor,
  workflowStatusOf,
  type Scene,
} from "./scene.ts";

const LONG = { withinMs: 100_000, everyMs: 500 };

/** Row 21: Temporal is restored from a snapshot that is older than some runs and than the end of another. */
export async function restoreTemporal(scene: Scene): Promise<void> {
  const { stack } = scene;
  const folder = join(stack.dataDir, "temporal");
  const files = ["temporal.db", "temporal.db-wal", "temporal.db-shm"];
  const [open = "", ended = ""] = await startJobs(scene, 2);
  const temporal = await pidOf(stack, "temporal");
  process.kill(temporal, "SIGSTOP");
  for (const file of files) await copyFile(join(folder, file), join(folder, `old-${file}`));
  process.kill(temporal, "SIGCONT");

  const [later = ""] = await startJobs(scene, 1);
  await endJob(scene, ended);
  await eventually(async () => (await rowOf(scene, ended)).is_archived, LONG);

  // The supervisor would start it again before its files are replaced.
  const supervisor = await pidOf(stack, "supervisor");
  process.kill(supervisor, "SIGSTOP");
  process.kill(temporal, "SIGKILL");
  for (const file of files) {
    await rm(join(folder, file), { force: true });
    await copyFile(join(folder, `old-${file}`), join(folder, file));
  }
  process.kill(supervisor, "SIGCONT");
  const isBack = async (): Promise<boolean> => (await workflowStatusOf(scene, open)) === "RUNNING";
  await eventually(isBack, { withinMs: 30_000, everyMs: 200 });
  await healed("row 21, Temporal restored from an older snapshot", async () => {
    const statuses = [];
    for (const id of [open, later, ended]) statuses.push(await workflowStatusOf(scene, id));
    return statuses.slice(0, 2).every((status) => status === "RUNNING") && statuses[2] !== "RUNNING";
  });
  for (const id of [open, later]) await endJob(scene, id);
  await eventually(() => areAll(scene, [open, later, ended], "Succeeded"), LONG);
  for (const id of [open, later, ended]) expect(scene.startsOf(id)).toBe(1);
}

/** Row 21: Temporal forgets the closed workflow of a run that still executes, as a namespace whose retention is short does. */
export async function forgetWorkflow(scene: Scene): Promise<void> {
  const { temporal, installation } = scene;
  const [id = ""] = await startJobs(scene, 1);
  const workflowId = workflowIdOf(installation, Number(id));
  // Without the worker, no one ends the run meanwhile.
  const worker = await pidOf(scene.stack, "worker");
  process.kill(worker, "SIGSTOP");
  await temporal.workflow.getHandle(workflowId).terminate("by a test");
  const namespace = "default";
  await temporal.workflowService.deleteWorkflowExecution({ namespace, workflowExecution: { workflowId } });
  await eventually(async () => (await workflowStatusOf(scene, id)) === "NONE", LONG);
  process.kill(worker, "SIGCONT");
  await healed("row 21, a workflow that Temporal no longer has", async () => {
    return (await workflowStatusOf(scene, id)) === "RUNNING";
  });
  await endJob(scene, id);
  await eventually(() => areAll(scene, [id], "Succeeded"), LONG);
  expect(scene.startsOf(id)).toBe(1);
}

/** All workflows are terminated, runs and watcher: while containers run, and after they exited unnoticed. */
export async function terminateWorkflows(scene: Scene): Promise<void> {
  const running = await startJobs(scene, 2);
  await terminateAll(scene);
  await healed("all workflows terminated while containers run", async () => {
    const isWatched = (await workflowStatusOf(scene, "watcher")) === "RUNNING";
    return isWatched && (await areAll(scene, running, "Failed")) && areCleanedUp(scene, running);
  });
  for (const row of await rowsOf(scene, running))
    expect(row.status_reason).toBe("The workflow of the run was terminated");

  const [exited = "", failed = "", surviving = ""] = await startJobs(scene, 3);
  const worker = await pidOf(scene.stack, "worker");
  process.kill(worker, "SIGSTOP");
  await endJob(scene, exited);
  await endJob(scene, failed, 3);
  const haveExited = async (): Promise<boolean> =>
    (await containersOfRuns(scene, [exited, failed])).every(({ state }) => state === "exited");
  await eventually(haveExited);
  await terminateAll(scene);
  process.kill(worker, "SIGCONT");
  await healed("all workflows terminated after containers exited", async () => {
    const statuses = (await rowsOf(scene, [exited, failed, surviving])).map(({ status }) => status);
    return statuses.join(" ") === "Succeeded Failed Failed" && areCleanedUp(scene, [exited, failed, surviving]);
  });
  expect((await rowOf(scene, failed)).status_reason).toBe("Main exited with code 3");

  // The watcher works again: an end is noticed at once, without the reconciler.
  const [next = ""] = await startJobs(scene, 1);
  await endJob(scene, next);
  await eventually(() => areAll(scene, [next], "Succeeded"));
}

/** Row 2: Temporal does not answer for more than a minute, in which a run is canceled, one exits and one is created. */
export async function suspendTemporal(scene: Scene): Promise<void> {
  const { stack } = scene;
  const [through = "", canceled = "", exited = ""] = await startJobs(scene, 3);
  const temporal = await pidOf(stack, "temporal");
  process.kill(temporal, "SIGSTOP");
  const sinceMs = Date.now();
  expect((await stack.tyger(["run", "cancel", canceled])).code).toBe(0);
  await endJob(scene, exited);
  const created = await createJob(scene);
  // Without Temporal, the reconciler alone.
  await eventually(() => areAll(scene, [exited], "Succeeded"), LONG);
  await eventually(() => areAll(scene, [canceled], "Canceled"), LONG);
  await eventually(() => areCleanedUp(scene, [exited, canceled]), LONG);
  await untilBrokenFor(60, sinceMs);
  process.kill(temporal, "SIGCONT");
  await healed("row 2, Temporal unreachable for over a minute", async () => {
    const isStarted = await areAll(scene, [created], "Running");
    return isStarted && (await workflowStatusOf(scene, through)) === "RUNNING";
  });
  for (const id of [through, created]) await endJob(scene, id);
  await eventually(() => areAll(scene, [through, created], "Succeeded"), LONG);
  for (const id of [through, canceled, exited, created]) expect(scene.startsOf(id)).toBe(1);
}
