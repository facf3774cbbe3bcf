import { expect, test } from "vitest";
import { admitRun, nextToAdmit } from "../../../db/runs/admission.ts";
import type { Database } from "../../../model/ports/database.ts";
import { clientOf, createdId, endRun, entriesRead, openFresh, openTransaction, twentyAtOnce } from "../fixture.ts";

async function startedRuns(database: Database, count: number): Promise<number[]> {
  const ids: number[] = [];
  for (let place = 0; place < count; place += 1) {
    const id = await createdId(database);
    await database.runs.recordWorkflowStarted(id);
    ids.push(id);
  }
  return ids;
}

test("of twenty runs that ask at once, only the oldest are admitted, one to each slot", async () => {
  const { database } = await openFresh();
  const ids = await startedRuns(database, 20);
  const answers = await twentyAtOnce((place) => database.runsIn("docker").admit(ids[19 - place] ?? 0, 5));
  expect(answers.filter(Boolean).length).toBeLessThanOrEqual(5);
  for (const id of ids) await database.runsIn("docker").admit(id, 5);
  const admitted = await Promise.all(ids.map(async (id) => (await database.runs.find(id))?.admittedAt !== undefined));
  expect(admitted).toEqual(ids.map((_, place) => place < 5));
});

test("twenty calls for one run take one slot", async () => {
  const { database } = await openFresh();
  const [first = 0, second = 0] = await startedRuns(database, 2);
  expect(await twentyAtOnce(() => database.runsIn("docker").admit(first, 2))).toEqual(Array(20).fill(true));
  expect(await database.runsIn("docker").admit(second, 2)).toBe(true);
});

test("an admission waits for one in progress, whose slot is then taken", async () => {
  const { url, database } = await openFresh();
  const [first = 0, second = 0] = await startedRuns(database, 2);
  const admission = await openTransaction(
    url,
    "select pg_advisory_xact_lock(hashtextextended('tyger admission', 0))",
    `update runs set admitted_at = now() where id = ${first}`,
  );
  const asking = database.runsIn("docker").admit(second, 1);
  await admission.untilWaitedFor();
  await admission.commit();
  expect(await asking).toBe(false);
});

test("a run stays admitted, even if the limit is lowered", async () => {
  const { database } = await openFresh();
  const [first = 0, second = 0, third = 0] = await startedRuns(database, 3);
  expect(await database.runsIn("docker").admit(first, 2)).toBe(true);
  expect(await database.runsIn("docker").admit(second, 2)).toBe(true);
  expect(await database.runsIn("docker").admit(second, 1)).toBe(true);
  expect(await database.runsIn("docker").admit(third, 1)).toBe(false);
  expect(await database.runsIn("docker").nextToAdmit(1)).toEqual([]);
});

test("an older queued run gets the slot first, one whose workflow is not started or that is canceled does not", async () => {
  const { database } = await openFresh();
  const unstarted = await createdId(database);
  const [canceled = 0, older = 0, younger = 0] = await startedRuns(database, 3);
  await database.runs.requestCancel(canceled);
  expect(await database.runsIn("docker").admit(younger, 1)).toBe(false);
  expect(await database.runsIn("docker").admit(canceled, 1)).toBe(false);
  // It is the turn of the older one, which has not asked yet and needs no offer.
  expect(await database.runsIn("docker").nextToAdmit(1)).toEqual([]);
  expect(await database.runsIn("docker").nextToAdmit(5)).toEqual([younger]);
  expect(await database.runsIn("docker").admit(older, 0)).toBe(false);
  expect(await database.runsIn("docker").nextToAdmit(1)).toEqual([older]);
  expect(await database.runsIn("docker").nextToAdmit(5)).toEqual([older, younger]);
  expect(await database.runsIn("docker").admit(younger, 2)).toBe(true);
  expect(await database.runsIn("docker").admit(older, 2)).toBe(true);
  // Its workflow runs, or it could not ask: that this is not recorded yet must not keep it out.
  expect(await database.runsIn("docker").admit(unstarted, 3)).toBe(true);
});

test("a slot that becomes free while a run is being refused is taken, or offered to it", async () => {
  const { database } = await openFresh();
  const ids = await startedRuns(database, 40);
  for (let place = 0; place + 1 < ids.length; place += 2) {
    const [first = 0, second = 0] = ids.slice(place, place + 2);
    expect(await database.runsIn("docker").admit(first, 1)).toBe(true);
    const [wasAdmitted, offered] = await Promise.all([
      database.runsIn("docker").admit(second, 1),
      endRun(database, first, { status: "Failed" }).then(() => database.runsIn("docker").nextToAdmit(1)),
    ]);
    expect(wasAdmitted || offered.includes(second)).toBe(true);
    await endRun(database, second, { status: "Failed" });
  }
});

test("a run that ends frees its slot for the oldest queued run", async () => {
  const { database } = await openFresh();
  const [first = 0, second = 0, third = 0] = await startedRuns(database, 3);
  await database.runsIn("docker").admit(first, 1);
  expect(await database.runsIn("docker").admit(second, 1)).toBe(false);
  await endRun(database, first, { status: "Failed" });
  expect(await database.runsIn("docker").nextToAdmit(1)).toEqual([second]);
  expect(await database.runsIn("docker").admit(third, 1)).toBe(false);
  expect(await database.runsIn("docker").admit(second, 1)).toBe(true);
  expect(await database.runsIn("docker").admit(404, 9)).toBe(false);
});

test.each([
  "delete from runs where id = ID",
  "truncate runs cascade",
  "update runs set admitted_at = null, cancel_requested_at = now() where id = ID",
  "update runs set status = 'Failed' where id = ID",
])("the slot of a run is free again after `%s`", async (statement) => {
  const { database, url } = await openFresh();
  const [first = 0, second = 0] = await startedRuns(database, 2);
  expect(await database.runsIn("docker").admit(first, 1)).toBe(true);
  expect(await database.runsIn("docker").admit(second, 1)).toBe(false);
  await clientOf(url).unsafe(statement.replace("ID", `${first}`));
  const third = await createdId(database);
  const next = (await database.runs.find(second)) ? second : third;
  expect(await database.runsIn("docker").admit(next, 1)).toBe(true);
});

test("a slot that is taken by hand is taken", async () => {
  const { database, url } = await openFresh();
  const [first = 0, second = 0] = await startedRuns(database, 2);
  await clientOf(url)`update runs set admitted_at = now() where id = ${second}`;
  expect(await database.runsIn("docker").admit(first, 1)).toBe(false);
  expect(await database.runsIn("docker").admit(first, 2)).toBe(true);
});

test("an admission reads few runs, however many are open or queued", async () => {
  const { url } = await openFresh();
  const client = clientOf(url);
  await client`
    insert into runs (job, timeout_seconds, buffer_access_ttl, status, workflow_started_at, admitted_at, queued_at)
    select '{}', 1, '01:00:00', case when i <= 3000 then 'Running' else 'Pending' end::run_status, now(),
      case when i <= 3000 then now() end, now()
    from generate_series(1, 6000) as i`;
  await client`vacuum analyze runs`;
  const indexes = ["runs_pkey", "runs_open", "runs_without_slot"];
  const slots = { cluster: "docker", limit: 3002 };
  const answers: boolean[] = [];
  const read = await entriesRead(url, indexes, async (db) => {
    answers.push(await admitRun(db, 3001, slots), await admitRun(db, 6000, slots));
    expect(await nextToAdmit(db, slots)).toEqual([3002]);
  });
  expect(answers).toEqual([true, false]);
  expect(read).toBeGreaterThan(0);
  expect(read).toBeLessThan(100);
});
