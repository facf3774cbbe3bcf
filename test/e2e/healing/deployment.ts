import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { bundleWorkflowCode, DefaultLogger } from "@temporalio/worker";
import { expect } from "vitest";
import { workflowIdOf } from "../../../model/run/names.ts";
import { slotFree } from "../../../workflows/messages.ts";
import { eventually } from "../../eventually.ts";
import { copyPackage } from "../stack.ts";
import {
  areAll,
  areCleanedUp,
  endJob,
  healed,
  rowOf,
  startJobs,
  untilBrokenFor,
  workflowStatusOf,
  type Scene,
} from "./scene.ts";

const RUNS = 10;
const LONG = { withinMs: 100_000, everyMs: 500 };

/** A package whose workflow code throws a TypeError in each task; gives the `tyger` of it. */
async function badPackage({ stack }: Scene): Promise<string> {
  const workflowsPath = resolve(import.meta.dirname, "bad-workflows.ts");
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger("ERROR") });
  const folder = await copyPackage(stack, "bad");
  await writeFile(join(folder, "dist/workflows.js"), code);
  return join(folder, "bin/tyger");
}

/**
 * For two minutes the workers have workflow code that throws a TypeError in each task. No run is ended by that; a cancel and
 * an exit in the meantime are recorded from outside.
 */
export async function deployBadWorkflows(scene: Scene): Promise<void> {
  const { stack, temporal, installation } = scene;
  const bad = await badPackage(scene);
  const ids = await startJobs(scene, RUNS);
  const [canceled = "", exited = ""] = await startJobs(scene, 2);
  expect(await stack.shell(`${bad} up`, { limitMs: 150_000 })).toMatchObject({ code: 0 });
  const sinceMs = Date.now();
  // Each workflow has a task to do, and fails it.
  for (const id of [...ids, canceled, exited]) {
    await temporal.workflow.getHandle(workflowIdOf(installation, Number(id))).signal(slotFree);
  }
  expect((await stack.tyger(["run", "cancel", canceled])).code).toBe(0);
  await endJob(scene, exited, 3);
  const actedMs = Date.now();
  await eventually(() => areAll(scene, [exited], "Failed"), LONG);
  expect((await rowOf(scene, exited)).status_reason).toBe("Main exited with code 3");
  await eventually(() => areAll(scene, [canceled], "Canceled"), LONG);
  const seconds = ((Date.now() - actedMs) / 1000).toFixed(1);
  process.stdout.write(`a cancel was carried out from outside after ${seconds} s\n`);
  await eventually(() => areCleanedUp(scene, [canceled, exited]), LONG);
  expect(await workflowStatusOf(scene, canceled)).toBe("TERMINATED");
  await untilBrokenFor(120, sinceMs);
  expect(await areAll(scene, ids, "Running")).toBe(true);

  expect(await stack.tyger(["up"], { limitMs: 150_000 })).toMatchObject({ code: 0 });
  const backMs = Date.now();
  for (const id of ids) await endJob(scene, id);
  await healed("a bad deployment of two minutes", () => areAll(scene, ids, "Succeeded"), backMs);
  for (const id of ids) {
    expect(scene.startsOf(id)).toBe(1);
    // The row is recorded first, then the workflow closes.
    await eventually(async () => (await workflowStatusOf(scene, id)) === "COMPLETED", LONG);
  }
}
