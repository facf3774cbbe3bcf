import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createPostgres } from "../../../stack/postgres/postgres.ts";

/** Stands for initdb: the database is the password that it was made with. */
const INITDB = `#!/bin/sh
for word; do
  case $word in --pwfile=*) password=\${word#--pwfile=} ;; esac
done
mkdir "$2" && cp "$password" "$2/made-with"
`;

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tyger-pg-"));
  mkdirSync(join(root, "bin"));
  writeFileSync(join(root, "bin/initdb"), INITDB, { mode: 0o755 });
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(root, { recursive: true, force: true });
});

const create = () => createPostgres({ root, binaries: "" }, root);

test("the password is on the disk before there is a database that asks for it, and the database when it is used", async () => {
  const synced: string[] = [];
  const handle = await open(root);
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  vi.spyOn(prototype, "sync").mockImplementation(async function (this: FileHandle) {
    const name = readlinkSync(`/proc/self/fd/${this.fd}`).slice(root.length);
    synced.push(`${name || "folder"} ${existsSync(join(root, "data")) ? "with" : "without"} data`);
  });
  await create();
  expect(synced).toEqual(["/password without data", "folder without data", "folder with data"]);
});

test("a database whose creation was interrupted is created again, with a complete password", async () => {
  writeFileSync(join(root, "password"), "5ca");
  mkdirSync(join(root, "data.tmp-1"));
  const created = await create();
  expect(new URL(created.url(1)).password).toMatch(/^[0-9a-f]{48}$/);
  expect(existsSync(join(root, "data.tmp-1"))).toBe(false);
});

test("a database that is there keeps its password", async () => {
  const first = await create();
  expect(await create()).toMatchObject({ dataDir: first.dataDir });
  expect((await create()).url(1)).toBe(first.url(1));
});

test("a database on a disk that is away is not created again, and keeps its password", async () => {
  const before = (await create()).url(1);
  renameSync(join(root, "data"), join(root, "disk"));
  symlinkSync(join(root, "disk"), join(root, "data"));
  renameSync(join(root, "disk"), join(root, "away"));
  expect((await create()).url(1)).toBe(before);
  expect(existsSync(join(root, "disk"))).toBe(false);
});
