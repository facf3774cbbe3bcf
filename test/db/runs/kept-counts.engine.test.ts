import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { openDatabase } from "../../../db/database.ts";
import type { Database } from "../../../model/ports/database.ts";
import { freshDatabase } from "../../engines.ts";
import { eventually } from "../../eventually.ts";
import { clientOf, createdId, endRun, openFresh, openTransaction, twentyAtOnce } from "../fixture.ts";

/** The counts and tags that are kept beside the rows of runs. */
async function keptIn(client: postgres.Sql): Promise<object> {
  const counts = await client`
    select status, cluster, sum(total)::int as total, sum(admitted)::int as admitted from run_counts
    group by status, cluster having sum(total) <> 0 or sum(admitted) <> 0 order by status, cluster`;
  const tags = await client`select run_id, key, value, status, created_at from run_tags order by run_id, key`;
  return { counts: [...counts], tags: [...tags] };
}

/** The counts and tags that follow from the rows. */
async function dueIn(client: postgres.Sql): Promise<object> {
  const counts = await client`
    select shown_status as status, cluster, count(*)::int as total, count(admitted_at)::int as admitted from runs
    group by shown_status, cluster order by shown_status, cluster`;
  const tags = await client`
    select id as run_id, key, value, shown_status as status, created_at
    from runs cross join json_each_text(tags) order by id, key collate "C"`;
  return { counts: [...counts], tags: [...tags] };
}

/** Runs of each status, some of them admitted, in the order of their numbers. */
async function mixedRuns(database: Database): Promise<number[]> {
  const ids: number[] = [];
  for (let place = 0; place < 12; place += 1) {
    const cluster = place % 3 === 0 ? "b" : "docker";
    const id = await createdId(database, { cluster, tags: { all: "yes", place: `${place % 3}` } });
    await database.runs.recordWorkflowStarted(id);
    if (place % 2 === 0) await database.runsIn(cluster).admit(id, 99);
    if (place % 4 === 0) await database.runs.recordRunning(id, 1, undefined);
    if (place % 5 === 0) await database.runs.requestCancel(id);
    if (place > 7) await endRun(database, id, { status: place % 2 ? "Failed" : "Succeeded" });
    ids.push(id);
  }
  return ids;
}

test.each([
  "delete from runs where id = 3",
  "delete from runs where id = 404",
  "delete from runs where id % 2 = 1",
  "delete from runs",
  "truncate runs cascade",
  "truncate runs restart identity cascade",
  "update runs set admitted_at = null",
  "update runs set admitted_at = coalesce(admitted_at, now()) where id < 6",
  "update runs set status = 'Failed', admitted_at = now()",
  "update runs set status = case when id % 2 = 0 then 'Running' else 'Pending' end::run_status",
  "update runs set cancel_requested_at = now()",
  "update runs set cluster = 'c' where id < 6",
  "update runs set created_at = created_at - interval '1 day', tags = case when id = 2 then '{}'::json else tags end",
  "with gone as (delete from runs where id < 4 returning *) update runs set admitted_at = null where id = 5",
  "merge into runs using (values (1), (2)) as given (id) on runs.id = given.id when matched and runs.id = 1 then delete when matched then update set status = 'Canceled'",
])("counts and tags follow the rows after `%s`", async (statement) => {
  const { database, url } = await openFresh();
  await mixedRuns(database);
  const client = clientOf(url);
  expect(await keptIn(client)).toEqual(await dueIn(client));
  await client.unsafe(statement);
  expect(await keptIn(client)).toEqual(await dueIn(client));
  const listed = await client`select count(*)::int as total from runs`;
  const counts = await database.runs.counts({});
  expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(listed[0]?.["total"]);
  expect(await database.runs.counts({ tags: { unknown: "" } })).toEqual({});
  await createdId(database, { tags: { all: "yes" } });
  expect(await keptIn(client)).toEqual(await dueIn(client));
});

test("counts and tags follow runs that are created, moved and deleted at the same time", async () => {
  const { database, url } = await openFresh();
  const ids = await mixedRuns(database);
  const deleting = clientOf(url);
  await Promise.all([
    ...ids.map((id) => deleting`delete from runs where id = ${id} and id % 3 = 0`),
    ...ids.map((id) => database.runsIn("docker").admit(id, 99)),
    ...ids.map((id) => database.runs.requestCancel(id)),
    twentyAtOnce(() => createdId(database, { tags: { all: "yes" } })),
  ]);
  expect(await keptIn(deleting)).toEqual(await dueIn(deleting));
});

test("a process that dies in the middle of a change leaves the counts as they were", async () => {
  const { database, url } = await openFresh();
  await mixedRuns(database);
  const client = clientOf(url);
  const before = await client`select * from run_counts order by status, cluster, shard`;
  await openTransaction(url, "update runs set admitted_at = now()", "delete from runs where id < 5");
  const changing = `from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`;
  expect(await client.unsafe(`select pg_terminate_backend(pid) ${changing}`)).toHaveLength(1);
  await eventually(async () => (await client.unsafe(`select ${changing}`)).length === 0);
  expect([...(await client`select * from run_counts order by status, cluster, shard`)]).toEqual([...before]);
  expect(await keptIn(client)).toEqual(await dueIn(client));
});

test("an upgrade repairs counts and tags that rows left behind when they were deleted", async () => {
  const fresh = await freshDatabase();
  onTestFinished(() => fresh.drop());
  const older = await migrationsUntil("0005_ended_outside");
  await (await openDatabase(fresh.url, { migrationsFolder: older })).close();
  const client = clientOf(fresh.url);
  await client`
    insert into runs (job, timeout_seconds, buffer_access_ttl, tags, status, admitted_at)
    select '{}', 1, '01:00:00', '{"a":"1"}', case when i % 3 = 0 then 'Failed' else 'Pending' end::run_status,
      case when i % 2 = 0 then now() end
    from generate_series(1, 20) as i`;
  await client`delete from runs where id > 12`;
  expect(await client`select from run_tags`).toHaveLength(20);
  const database = await openDatabase(fresh.url);
  onTestFinished(() => database.close());
  expect(await database.runs.counts({})).toEqual({ Pending: 8, Failed: 4 });
  expect(await database.runs.counts({ tags: { a: "1" } })).toEqual({ Pending: 8, Failed: 4 });
  expect(await keptIn(client)).toEqual(await dueIn(client));
});

/** A folder with the migrations up to and including one. */
async function migrationsUntil(last: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tyger-migrations-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await cp(join(import.meta.dirname, "../../../db/migrations"), folder, { recursive: true });
  const path = join(folder, "meta/_journal.json");
  const journal = JSON.parse(await readFile(path, "utf8")) as { entries: { tag: string }[] };
  const end = journal.entries.findIndex(({ tag }) => tag === last) + 1;
  await writeFile(path, JSON.stringify({ ...journal, entries: journal.entries.slice(0, end) }));
  return folder;
}
