import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { lock } from "../../../stack/host/lock.ts";
import { tryLock } from "../../../waiting/kernel-lock.ts";
import { eventually } from "../../eventually.ts";

const silent = (): void => {};

test("a lock has one holder at a time", async () => {
  const name = `test-${randomBytes(6).toString("hex")}`;
  const held = await tryLock(name);
  expect(held).toBeDefined();
  expect(await tryLock(name)).toBeUndefined();
  await expect(lock(name, 150, "on this stack", silent)).rejects.toThrow("is still running");
  const waiting = lock(name, 5000, "on this stack", silent);
  await held?.[Symbol.asyncDispose]();
  await (await waiting)[Symbol.asyncDispose]();
});

test("the lock of a killed holder is free", async () => {
  const name = `test-${randomBytes(6).toString("hex")}`;
  const script = `const { tryLock } = await import(${JSON.stringify(import.meta.resolve("../../../waiting/kernel-lock.ts"))});
    await tryLock(${JSON.stringify(name)}); setInterval(() => {}, 1000); process.stdout.write("held");`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  expect(await tryLock(name)).toBeUndefined();
  child.kill("SIGKILL");
  const held = await eventually(() => tryLock(name));
  await held[Symbol.asyncDispose]();
});
