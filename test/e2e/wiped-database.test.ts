import { readFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { eventually } from "../eventually.ts";
import { containersOf, createRun, enginesOf, pidOf, run, showRun, startStack, type TestStack } from "./stack.ts";

const PATIENT = { withinMs: 60_000, everyMs: 250 };

let stack: TestStack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  await stack?.down();
});

const installation = async (): Promise<string> =>
  (await readFile(join(stack.dataDir, "state/installation"), "utf8")).trim();

async function wipe(): Promise<void> {
  const client = postgres(`${(await enginesOf(stack)).postgres}postgres`, { max: 1, onnotice: () => {} });
  const schemas = await client<{ name: string }[]>`
    select nspname as name from pg_namespace where nspname !~ '^(pg_|information_schema)'`;
  for (const { name } of schemas) await client.unsafe(`drop schema ${name} cascade`);
  await client.unsafe("create schema public");
  await client.end({ timeout: 5 });
  for (const name of ["api", "worker"]) process.kill(await pidOf(stack, name), "SIGKILL");
}

/** Faults, row 20. */
test("a wiped database is a new installation: it leaves the containers of the old one alone, and reuses its numbers", async () => {
  const old = await createRun(stack, inject("testImage"), "echo from the old one; exec sleep 600", {});
  await eventually(async () => (await showRun(stack, old)).status === "Running", PATIENT);
  const [container = ""] = await containersOf(stack, Number(old));
  const before = await installation();

  await wipe();
  await eventually(async () => (await installation()) !== before, PATIENT);
  const sinceMs = Date.now();
  const fresh = await createRun(stack, inject("testImage"), "echo from the new one; exit 3", {});
  expect(fresh).toBe(old);
  await eventually(async () => (await showRun(stack, fresh)).status === "Failed", PATIENT);
  process.stdout.write(
    `healed ${((Date.now() - sinceMs) / 1000).toFixed(1)} s after the broken part was back: row 20, a wiped database\n`,
  );
  expect(await showRun(stack, fresh)).toMatchObject({ statusReason: "Main exited with code 3" });
  expect((await stack.tyger(["run", "logs", fresh])).stdout.toString()).toBe("from the new one\n");

  const inspected = await run("docker", ["inspect", "--format", "{{.State.Running}}", container], { env: stack.env });
  expect(inspected.stdout.toString()).toBe("true\n");
  expect((await run("docker", ["rm", "--force", container], { env: stack.env })).code).toBe(0);
});
