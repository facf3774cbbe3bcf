import postgres from "postgres";
import { expect, test } from "vitest";
import type { Database } from "../../../model/ports/database.ts";
import type { PageQuery, RunFilter } from "../../../model/ports/records.ts";
import { RUN_STATUSES, type Run } from "../../../model/run/run.ts";
import { createdId, openFresh, twentyAtOnce } from "../fixture.ts";

/** All pages of a list, and how many there were. */
async function pagesOf(database: Database, query: PageQuery & RunFilter): Promise<{ items: Run[]; pages: number }> {
  const items: Run[] = [];
  let after: string | undefined;
  for (let pages = 1; ; pages += 1) {
    const page = await database.runs.list({ ...query, after });
    expect(page.items.length).toBeLessThanOrEqual(query.limit);
    items.push(...page.items);
    if (page.next === undefined) return { items, pages };
    after = page.next;
  }
}

const idsOf = (items: readonly Run[]): number[] => items.map(({ id }) => id);

/** Twelve runs: every second has the tag `even`, every third `third`; the first six have ended. */
async function twelveRuns(database: Database): Promise<number[]> {
  const ids: number[] = [];
  for (let place = 0; place < 12; place += 1) {
    const tags = { all: "yes", ...(place % 2 ? {} : { even: "yes" }), ...(place % 3 ? {} : { third: "yes" }) };
    ids.push(await createdId(database, { tags }));
  }
  for (const id of ids.slice(0, 4)) await database.runs.finish(id, { status: "Succeeded" });
  for (const id of ids.slice(4, 6)) await database.runs.finish(id, { status: "Failed" });
  return ids;
}

test("pages are newest first, none is repeated or missed, and the last has no continuation", async () => {
  const { database } = await openFresh();
  const ids = (await twelveRuns(database)).toReversed();
  for (const filter of [{}, { statuses: RUN_STATUSES }, { tags: { all: "yes" } }]) {
    const { items, pages } = await pagesOf(database, { limit: 5, ...filter });
    expect(idsOf(items)).toEqual(ids);
    expect(pages).toBe(3);
  }
  expect((await pagesOf(database, { limit: 6 })).pages).toBe(2);
  expect(await database.runs.list({ limit: 0 })).toEqual({ items: [] });
});

test("a run that is added meanwhile shifts no page", async () => {
  const { database } = await openFresh();
  const ids = (await twelveRuns(database)).toReversed();
  const first = await database.runs.list({ limit: 5 });
  await createdId(database);
  const second = await database.runs.list({ limit: 5, after: first.next });
  expect(idsOf([...first.items, ...second.items])).toEqual(ids.slice(0, 10));
});

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

test.each<[string, RunFilter, number[]]>([
  ["one status", { statuses: ["Failed"] }, [5, 4]],
  ["any of several statuses", { statuses: ["Failed", "Succeeded"] }, [5, 4, 3, 2, 1, 0]],
  ["no status at all", { statuses: [] }, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]],
  ["one tag", { tags: { even: "yes" } }, [10, 8, 6, 4, 2, 0]],
  ["all of several tags", { tags: { all: "yes", even: "yes", third: "yes" } }, [6, 0]],
  ["a tag and a status", { tags: { third: "yes" }, statuses: ["Pending"] }, [9, 6]],
  ["another value", { tags: { even: "no" } }, []],
  ["a key that was never used", { tags: { unknown: "yes", all: "yes" } }, []],
  ["a key in another case", { tags: { Even: "yes" } }, []],
])("a list and counts by %s hold what matches", async (_, filter, places) => {
  const { database } = await openFresh();
  const ids = await twelveRuns(database);
  const { items } = await pagesOf(database, { limit: 2, ...filter });
  expect(idsOf(items)).toEqual(places.map((place) => ids[place]));
  const counts: Record<string, number> = {};
  for (const { status } of items) counts[status] = (counts[status] ?? 0) + 1;
  expect(await database.runs.counts(filter)).toEqual(counts);
});

test("since means strictly later, as it was shown", async () => {
  const { database } = await openFresh();
  await twelveRuns(database);
  const all = (await database.runs.list({ limit: 20 })).items;
  const since = all[4]?.createdAt ?? "";
  for (const filter of [{ since }, { since, tags: { all: "yes" } }, { since, statuses: RUN_STATUSES }]) {
    expect((await database.runs.list({ limit: 20, ...filter })).items).toEqual(all.slice(0, 4));
    expect(await database.runs.counts(filter)).toEqual({ Pending: 4 });
  }
  const local = `${since.slice(0, -6).padEnd(26, "0")}999Z`;
  expect((await database.runs.list({ limit: 20, since: local })).items).toEqual(all.slice(0, 4));
  await expect(database.runs.list({ limit: 1, since: "today" })).rejects.toMatchObject({ code: "InvalidInput" });
});

test.each([
  "",
  "x",
  "🙂",
  "bnVsbA",
  Buffer.from('["2024",1]').toString("base64url"),
  "WyIyMDI0LTAxLTAxVDAwOjAwOjAwWiIsMS41XQ",
])("the continuation %j was never given out", async (after) => {
  const { database } = await openFresh();
  const refusal = expect.objectContaining({ code: "InvalidInput", message: expect.stringContaining(`'${after}'`) });
  await expect(database.runs.list({ limit: 1, after })).rejects.toEqual(refusal);
  await expect(database.codespecs.list({ limit: 1, after })).rejects.toEqual(refusal);
});

test("counts follow every change, whoever makes it at the same time", async () => {
  const { database } = await openFresh();
  expect(await database.runs.counts({})).toEqual({});
  const ids = await twentyAtOnce(() => createdId(database, { tags: { a: "1" } }));
  expect(await database.runs.counts({})).toEqual({ Pending: 20 });
  await Promise.all(
    ids.flatMap((id) => [
      database.runs.recordRunning(id, 1, undefined),
      ...(id % 2 ? [database.runs.requestCancel(id)] : []),
      ...(id % 3 ? [] : [database.runs.finish(id, { status: "Succeeded" })]),
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
