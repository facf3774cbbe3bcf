import { expect, test } from "vitest";
import { createFolderSync } from "../../../buffers/filesystem/folder-sync.ts";

test("calls during a sync share the next one, because their entries may be too late for the first", async () => {
  const started: (() => void)[] = [];
  const sync = createFolderSync(() => new Promise((resolve) => started.push(resolve)));
  const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const done: string[] = [];
  const call = (name: string): void => void sync("/a").then(() => done.push(name));

  call("first");
  await tick();
  call("second");
  call("third");
  await tick();
  expect(started).toHaveLength(1);
  started[0]?.();
  await tick();
  expect(done).toEqual(["first"]);
  expect(started).toHaveLength(2);
  started[1]?.();
  await tick();
  expect(done).toEqual(["first", "second", "third"]);
  expect(started).toHaveLength(2);
});

test("a failed sync fails its callers only", async () => {
  let calls = 0;
  const sync = createFolderSync(async () => {
    if (++calls === 1) throw new Error("disk");
  });
  await expect(sync("/a")).rejects.toThrow("disk");
  await sync("/a");
  expect(calls).toBe(2);
});
