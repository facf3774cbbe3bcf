import postgres from "postgres";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
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
  type TestStack,
} from "./stack.ts";

/** The reconciler looks every 30 s, and the supervisor needs a moment to start a worker again. */
const PATIENT = { withinMs: 90_000, everyMs: 200 };

let stack: TestStack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack?.down();
});

const status = async (): Promise<string> => (await stack.tyger(["status"])).stdout.toString();
const logOf = async (id: string): Promise<string> => (await stack.tyger(["run", "logs", id])).stdout.toString();

/** Gives the database the state in which it had no run yet. */
async function restore(): Promise<void> {
  const client = postgres(`${(await enginesOf(stack)).postgres}postgres`, { max: 1, onnotice: () => {} });
  await client.unsafe("delete from launches; delete from runs; alter table runs alter column id restart with 1");
  await client.end({ timeout: 5 });
}

test("after a database was restored no number is reused, and the runs that it lost are listed and can be ended", async () => {
  const lost = await createRun(stack, inject("testImage"), "echo from the lost run; exec sleep 600", {});
  await eventually(async () => (await logOf(lost)).includes("lost"), PATIENT);
  const [container = ""] = await containersOf(stack, Number(lost));

  await restore();

  // Before a worker starts, a new run meets the lost one: it fails, and nothing of the lost one is taken or ended.
  const reused = await createRun(stack, inject("testImage"), "exit 3", {});
  expect(reused).toBe(lost);
  await eventually(async () => (await showRun(stack, reused)).status === "Failed", PATIENT);
  const reason = `The workflow '${await installationOf(stack)}-run-${lost}' belongs to another run with the number ${lost}`;
  expect(await showRun(stack, reused)).toMatchObject({ statusReason: reason });
  expect(await logOf(reused)).toBe("");
  expect(await containersOf(stack, Number(lost))).toEqual([container]);

  const more = await createRun(stack, inject("testImage"), "exec sleep 600", {});
  await eventually(async () => (await showRun(stack, more)).status === "Running", PATIENT);
  await restore();
  process.kill(await pidOf(stack, "worker"), "SIGKILL");
  const end = async (): Promise<string[]> => (await status()).match(/docker .*stop \S+/g) ?? [];
  const commands = await eventually(async () => ((await end()).length === 2 ? end() : undefined), PATIENT);
  const fresh = await createRun(stack, inject("testImage"), "exit 3", {});
  expect(Number(fresh)).toBe(Number(more) + 1);
  await eventually(async () => (await showRun(stack, fresh)).status === "Failed", PATIENT);
  expect(await showRun(stack, fresh)).toMatchObject({ statusReason: "Main exited with code 3" });

  for (const command of commands) expect((await run("sh", ["-c", command], { env: stack.env })).code).toBe(0);
  await eventually(async () => !(await status()).includes("lost runs"), PATIENT);
}, 400_000);
