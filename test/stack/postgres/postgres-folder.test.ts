import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { isReachable, settlePostgres, unprivilegedUser } from "../../../stack/postgres/postgres-folder.ts";

const isRoot = process.getuid?.() === 0;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tyger-postgres-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test("postgres runs as its own user, or else as 'nobody', never as root", () => {
  const root = "root:x:0:0::/root:/bin/sh\n";
  const other = "nobody:x:65534:65534::/:/bin/false\n";
  expect(unprivilegedUser(`${root}${other}postgres:x:101:104::/:/bin/sh\n`)).toEqual({ uid: 101, gid: 104 });
  expect(unprivilegedUser(root + other)).toEqual({ uid: 65534, gid: 65534 });
  expect(() => unprivilegedUser(root)).toThrow("no user 'postgres' or 'nobody'");
});

test("a folder is out of reach if any folder above it is private", () => {
  const deep = join(folder, "a/b");
  mkdirSync(deep, { recursive: true });
  chmodSync(folder, 0o711);
  expect(isReachable(deep)).toBe(true);
  chmodSync(folder, 0o700);
  expect(isReachable(deep)).toBe(false);
});

test("a user's database is in the data folder", () => {
  const settled = settlePostgres(folder, "/cache", 1000);
  expect(settled).toEqual({ root: realpathSync(join(folder, "postgres")), binaries: "/cache" });
});

test("root's database is in the data folder if another user can reach it", ({ skip }) => {
  skip(!isRoot, "only root has to make room for another user");
  chmodSync(folder, 0o711);
  const dataDir = join(folder, "data");
  mkdirSync(dataDir, { mode: 0o700 });
  expect(settlePostgres(dataDir, "/cache", 0, join(folder, "system")).root).toBe(join(dataDir, "postgres"));
});

test("Postgres' user gets to the binaries where root alone could before, and under any umask", ({ skip }) => {
  skip(!isRoot, "only root has to make room for another user");
  chmodSync(folder, 0o711);
  const system = join(folder, "system");
  mkdirSync(system, { mode: 0o700 });
  const umask = process.umask(0o077);
  onTestFinished(() => void process.umask(umask));
  expect(isReachable(settlePostgres(folder, "/cache", 0, system).binaries)).toBe(true);
});

test("below a private home it is elsewhere, is found again, and is not used by a new data folder", ({ skip }) => {
  skip(!isRoot, "only root has to make room for another user");
  const dataDir = join(folder, "data");
  const system = join(folder, "system");
  mkdirSync(dataDir);
  const first = settlePostgres(dataDir, "/cache", 0, system);
  expect(first.root.startsWith(system)).toBe(true);
  expect(lstatSync(join(dataDir, "postgres")).isSymbolicLink()).toBe(true);
  expect(settlePostgres(dataDir, "/cache", 0, system).root).toBe(first.root);

  rmSync(dataDir, { recursive: true });
  mkdirSync(dataDir);
  const second = settlePostgres(dataDir, "/cache", 0, system);
  expect(second.root).not.toBe(first.root);
  expect(existsSync(first.root)).toBe(true);
});
