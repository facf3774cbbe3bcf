import { expect, test } from "vitest";
import { listRuns } from "../../../db/runs/run-pages.ts";
import type { RunFilter } from "../../../model/ports/records.ts";
import { idsOf, pagesOf } from "../../ports/records.ts";
import { clientOf, entriesRead, openFresh } from "../fixture.ts";
import { insertManyRuns } from "../many-runs.ts";

test("pages and counts by several tags have exactly the runs that match, in order, however the tags are spread", async () => {
  const { database, url } = await openFresh();
  const client = clientOf(url);
  await insertManyRuns(client, {
    count: 3000,
    status: "case i % 3 when 0 then 'Failed' when 1 then 'Succeeded' else 'Canceled' end",
    // The first 900 at one instant, the others seven at a time.
    createdAt: "timestamptz '2026-01-01' + greatest(900, i) / 7 * interval '1 second'",
    tags: {
      all: "true",
      half: "i % 2 = 0",
      other: "i % 2 = 1",
      old: "i < 1700",
      new: "i > 1400",
      turns: "i / 300 % 2 = 0",
      rare: "i % 500 = 4",
    },
  });
  const yes = (...keys: string[]) => Object.fromEntries(keys.map((key) => [key, "yes"]));
  const filters: RunFilter[] = [
    ["all", "half"],
    ["all", "rare"],
    ["half", "other"],
    ["old", "new"],
    ["new", "turns"],
    ["turns", "half", "old"],
    ["all", "half", "new", "rare"],
    ["all", "unknown"],
  ].map((keys) => ({ tags: yes(...keys) }));
  const parts: RunFilter[] = [{}, { statuses: ["Failed", "Canceled"] }, { since: "2026-01-01T00:05:00Z" }];
  for (const filter of filters.flatMap((filter) => parts.map((part) => ({ ...filter, ...part })))) {
    const isTagged = Object.keys(filter.tags ?? {}).map((key) => `tags->>'${key}' = 'yes'`);
    const isWanted = filter.statuses ? [`status in ('Failed', 'Canceled')`] : [];
    const isSince = filter.since ? [`created_at > '${filter.since}'`] : [];
    const rows = await client.unsafe<{ id: string; status: string }[]>(
      `select id, status from runs where ${[...isTagged, ...isWanted, ...isSince].join(" and ")} order by created_at desc, id desc`,
    );
    const counts: Record<string, number> = {};
    for (const { status } of rows) counts[status] = (counts[status] ?? 0) + 1;
    expect(await database.runs.counts(filter)).toEqual(counts);
    for (const limit of [100, 700]) {
      const { items } = await pagesOf(database, { limit, ...filter });
      expect(idsOf(items)).toEqual(rows.map(({ id }) => Number(id)));
    }
  }
});

test.each([
  ["one is on every run and the other on each thousandth", ["all", "rare"]],
  ["one is on every run and the other on the oldest runs", ["all", "oldest"]],
  ["one is on the oldest runs and the other on every run", ["oldest", "all"]],
  ["one is on older and the other on newer runs", ["old", "new"]],
])("a page by two tags reads few entries of their index when %s", async (_, keys) => {
  const { url } = await openFresh();
  await insertManyRuns(clientOf(url), {
    count: 40_000,
    tags: {
      all: "true",
      rare: "i % 1000 = 1",
      old: "i < 20000",
      new: "i >= 20000",
      oldest: "i < 1500",
    },
  });
  const read = await entriesRead(url, ["run_tags_newest"], (db) =>
    listRuns(db, { limit: 20, tags: Object.fromEntries(keys.map((key) => [key, "yes"])) }),
  );
  expect(read).toBeGreaterThan(0);
  expect(read).toBeLessThan(4000);
});
