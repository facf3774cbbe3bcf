import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../../db/database.ts";
import type { Database } from "../../model/ports/database.ts";
import { freshDatabase } from "../engines.ts";
import { eventually, stays } from "../eventually.ts";
import { twentyAtOnce } from "./fixture.ts";

const LONG_MS = 600_000;

let fresh: Awaited<ReturnType<typeof freshDatabase>>;
let database: Database;
beforeAll(async () => {
  fresh = await freshDatabase();
  database = await openDatabase(fresh.url);
});
afterAll(async () => {
  await database?.close();
  await fresh?.drop();
});

test("one of many holders gets a lease, and keeps it until it gives it up", async () => {
  const { leases } = database;
  const took = await twentyAtOnce((n) => leases.take("a", `holder ${n}`, LONG_MS));
  const holder = `holder ${took.indexOf(true)}`;
  expect(took.filter(Boolean)).toHaveLength(1);
  expect(await leases.take("a", holder, LONG_MS)).toBe(true);
  await leases.release("a", "another holder");
  expect(await leases.take("a", "another holder", LONG_MS)).toBe(false);
  await leases.release("a", holder);
  expect(await leases.take("a", "another holder", LONG_MS)).toBe(true);
  expect(await leases.take("a", holder, LONG_MS)).toBe(false);
});

test("a lease outlives the session in which it was taken, as behind a pooler", async () => {
  const { leases } = database;
  expect(await leases.take("session", "first", LONG_MS)).toBe(true);
  const other = postgres(fresh.url, { max: 1, onnotice: () => {} });
  await other.unsafe(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
  );
  await other.end({ timeout: 1 });
  expect(await eventually(() => leases.take("session", "first", LONG_MS))).toBe(true);
  expect(await leases.take("session", "second", LONG_MS)).toBe(false);
});

test("leases of two clusters are two", async () => {
  expect(await database.leases.take("b of one", "first", LONG_MS)).toBe(true);
  expect(await database.leases.take("b of another", "second", LONG_MS)).toBe(true);
});

test("a lease that is not renewed goes to the next holder, and its old holder gets it no more", async () => {
  const { leases } = database;
  expect(await leases.take("c", "first", 3000)).toBe(true);
  expect(await leases.take("c", "second", LONG_MS)).toBe(false);
  await eventually(() => leases.take("c", "second", LONG_MS));
  expect(await leases.take("c", "first", LONG_MS)).toBe(false);
});

test("a renewal counts from when it is made", async () => {
  const { leases } = database;
  await leases.take("d", "first", 1000);
  expect(await leases.take("d", "first", LONG_MS)).toBe(true);
  await stays(async () => !(await leases.take("d", "second", LONG_MS)), { looks: 15, everyMs: 100 });
});
