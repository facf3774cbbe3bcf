import postgres from "postgres";
import { expect, test } from "vitest";
import { idsOf, pagesOf } from "../../ports/records.ts";
import { createdId, endRun, openFresh, twentyAtOnce } from "../fixture.ts";

test("runs of one instant are paged by their ids", async () => {
  const { database, url } = await openFresh();
  await twentyAtOnce(() => createdId(database, { tags: { a: "1" } }));
  const raw = postgres(url, { max: 1 });
  await raw`update runs set created_at = '2024-01-01T00:00:00Z'`;
  await raw`update run_tags set created_at = '2024-01-01T00:00:00Z'`;
  await raw.end({ timeout: 1 });
  for (const filter of [{}, { tags: { a: "1" } }]) {
    const { items } = await pagesOf(database, { limit: 3, ...filter });
    expect(idsOf(items)).toEqual(Array.from({ length: 20 }, (_, place) => 20 - place));
  }
});

test("counts follow every change, also those made at the same time", async () => {
  const { database } = await openFresh();
  expect(await database.runs.counts({})).toEqual({});
  const ids = await twentyAtOnce(() => createdId(database, { tags: { a: "1" } }));
  expect(await database.runs.counts({})).toEqual({ Pending: 20 });
  await Promise.all(
    ids.flatMap((id) => [
      database.runs.recordRunning(id, 1, undefined),
      ...(id % 2 ? [database.runs.requestCancel(id)] : []),
      ...(id % 3 ? [] : [endRun(database, id, { status: "Succeeded" })]),
    ]),
  );
  const shown = await Promise.all(ids.map(async (id) => (await database.runs.find(id))?.status ?? ""));
  const counts: Record<string, number> = {};
  for (const status of shown) counts[status] = (counts[status] ?? 0) + 1;
  expect(await database.runs.counts({})).toEqual(counts);
  expect(await database.runs.counts({ tags: { a: "1" } })).toEqual(counts);
  expect(await database.runs.counts({ statuses: ["Succeeded"] })).toEqual({ Succeeded: counts["Succeeded"] });
});

test("tags that change in the row change the filters", async () => {
  const { database, url } = await openFresh();
  const id = await createdId(database, { tags: { a: "1", b: "2" } });
  const raw = postgres(url, { max: 1 });
  await raw`update runs set tags = '{"b":"3"}'`;
  await raw.end({ timeout: 1 });
  expect(idsOf((await database.runs.list({ limit: 9, tags: { b: "3" } })).items)).toEqual([id]);
  expect(await database.runs.counts({ tags: { a: "1" } })).toEqual({});
  expect(await database.runs.counts({ tags: { b: "2" } })).toEqual({});
});
