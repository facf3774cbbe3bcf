import { mkdtemp, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { watchFolder } from "../../../buffers/filesystem/folder-changes.ts";

const NEVER = new AbortController().signal;
/** Longer than a test can take. */
const LONG_MS = 3_600_000;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tyger-changes-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("each of several waiters notices a new file", async () => {
  const [one, two] = [watchFolder(folder), watchFolder(folder)];
  const waiting = [one.next(LONG_MS, NEVER), two.next(LONG_MS, NEVER)];
  await writeFile(join(folder, "x"), "");
  await expect(Promise.all(waiting)).resolves.toHaveLength(2);
  two.stop();
  const again = one.next(LONG_MS, NEVER);
  await writeFile(join(folder, "y"), "");
  await again;
  one.stop();
});

test("a change between two calls is not lost", async () => {
  const [changes, witness] = [watchFolder(folder), watchFolder(folder)];
  await writeFile(join(folder, "x"), "");
  await witness.next(LONG_MS, NEVER);
  await expect(changes.next(LONG_MS, NEVER)).resolves.toBe(undefined);
  changes.stop();
  witness.stop();
});

test("a wait ends with its timeout and with its signal, even if there is nothing to watch", async () => {
  const given = new AbortController();
  for (const place of [folder, join(folder, "missing")]) {
    const changes = watchFolder(place);
    await changes.next(10, NEVER);
    const waiting = changes.next(LONG_MS, given.signal);
    given.abort();
    await expect(waiting).resolves.toBe(undefined);
    await changes.next(LONG_MS, given.signal);
    changes.stop();
  }
});

test("removing the folder itself is a change", async () => {
  const changes = watchFolder(folder);
  const waiting = changes.next(LONG_MS, NEVER);
  await rmdir(folder);
  await waiting;
  expect(() => changes.stop()).not.toThrow();
});
