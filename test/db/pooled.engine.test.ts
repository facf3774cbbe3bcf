import postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { openClient } from "../../db/client.ts";
import { openDatabase } from "../../db/database.ts";
import type { Outcome } from "../../model/run/lifecycle.ts";
import type { Database } from "../../model/ports/database.ts";
import { freshDatabase } from "../engines.ts";
import { testRecords } from "../ports/records.ts";
import { startPooler, type TransactionPooler } from "./transaction-pooler.ts";
import { createdId, createdRun, endRun, twentyAtOnce } from "./fixture.ts";

interface Pooled {
  database: Database;
  url: string;
  pooler: TransactionPooler;
}

async function openPooled(prepare?: (sql: postgres.Sql, name: string) => Promise<unknown>): Promise<Pooled> {
  const fresh = await freshDatabase();
  const { url } = fresh;
  onTestFinished(() => fresh.drop());
  const raw = postgres(url, { max: 1 });
  await prepare?.(raw, new URL(url).pathname.slice(1));
  await raw.end({ timeout: 1 });
  const pooler = await startPooler(url);
  onTestFinished(() => pooler.close());
  const database = await openDatabase(pooler.url, { directUrl: url });
  onTestFinished(() => database.close());
  return { database, url, pooler };
}

testRecords(async () => {
  const { database } = await openPooled();
  return Object.assign(database, { end: (id: number, outcome: Outcome) => endRun(database, id, outcome) });
});

test("leases and claims hold although each statement has another session", async () => {
  const { database, pooler } = await openPooled();
  const took = await twentyAtOnce((n) => database.leases.take("a", `holder ${n}`, 600_000));
  expect(took.filter(Boolean)).toHaveLength(1);
  const holder = `holder ${took.indexOf(true)}`;
  expect(await database.leases.take("a", holder, 600_000)).toBe(true);
  expect(await database.leases.take("a", "another", 600_000)).toBe(false);

  const run = await createdRun(database);
  const claims = await twentyAtOnce((n) => database.claims.claim(run, 0, `attempt ${n}`));
  expect(new Set(claims.map((claim) => claim?.attempt)).size).toBe(1);
  // The sessions took turns.
  expect(Math.min(...pooler.transactions)).toBeGreaterThan(10);
});

test("the driver keeps no statement in a session", async () => {
  const { pooler } = await openPooled();
  const client = openClient({ url: pooler.url, isPooler: true }, { max: 1 });
  onTestFinished(() => client.end({ timeout: 1 }));
  for (const value of [1, 2, 3, 4]) {
    const [row] =
      await client`select ${value}::integer as value, count(*)::integer as kept from pg_prepared_statements`;
    expect(row).toEqual({ value, kept: 0 });
  }
});

test("instants are shown in UTC although the pooler has lost our time zone", async () => {
  const { database, url } = await openPooled((sql, name) =>
    sql.unsafe(`alter database ${name} set timezone to 'Asia/Kolkata'`),
  );
  const id = await createdId(database);
  const shown = (await database.runs.find(id))?.createdAt ?? "";
  expect(shown).toMatch(/\+00:00$/);
  const raw = postgres(url, { max: 1 });
  const [row] = await raw`select created_at = ${shown}::text::timestamptz as "isSame" from runs`;
  await raw.end({ timeout: 1 });
  expect(row).toEqual({ isSame: true });
});

test("a pooler that is not configured as one is reported", async () => {
  const { pooler } = await openPooled();
  await expect(openDatabase(pooler.url, { waitMs: 5000 })).rejects.toThrow(
    "DATABASE_URL seems to lead to a connection pooler; set DATABASE_DIRECT_URL to the URL of the database itself, too (SQLSTATE 08P01)",
  );
});

test("two URLs of different databases are refused", async () => {
  const { pooler, url } = await openPooled();
  const refusal = "DATABASE_URL and DATABASE_DIRECT_URL lead to different databases";
  const [other, opened] = [await freshDatabase(), await freshDatabase()];
  onTestFinished(async () => {
    await Promise.all([other.drop(), opened.drop()]);
  });
  await expect(openDatabase(pooler.url, { directUrl: other.url })).rejects.toThrow(refusal);
  await expect(openDatabase(opened.url, { directUrl: url })).rejects.toThrow(refusal);
});
