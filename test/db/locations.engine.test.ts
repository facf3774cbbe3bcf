import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openDatabase } from "../../db/database.ts";
import { freshDatabase } from "../engines.ts";
import { bufferId, clientOf, endRun, newRun, openFresh } from "./fixture.ts";

test("a location is remembered once, however many processes add it", async () => {
  const { database } = await openFresh();
  const { locations } = database;
  expect([await locations.has("a"), await locations.names()]).toEqual([false, []]);
  await Promise.all(Array.from({ length: 5 }, () => locations.add("a")));
  await locations.add("b");
  expect([await locations.has("a"), await locations.has("A")]).toEqual([true, false]);
  expect((await locations.names()).toSorted()).toEqual(["a", "b"]);
});

test("a run has the location of its archived log; the first one stays", async () => {
  const { database } = await openFresh();
  const { run } = await database.runs.create(newRun());
  await endRun(database, run.id, { status: "Succeeded" });
  expect(await database.runs.load(run)).not.toHaveProperty("logLocation");
  await database.runs.recordArchived(run, "a");
  await database.runs.recordArchived(run, "b");
  expect(await database.runs.load(run)).toMatchObject({ logLocation: "a", archivedAt: expect.any(String) });
});

/** The migrations of a release from before locations. */
async function olderMigrations(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tyger-migrations-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await cp("db/migrations", folder, { recursive: true });
  const journalFile = join(folder, "meta/_journal.json");
  const journal = JSON.parse(await readFile(journalFile, "utf8")) as { entries: { tag: string }[] };
  const upTo = journal.entries.findIndex(({ tag }) => tag.endsWith("_locations"));
  await writeFile(journalFile, JSON.stringify({ ...journal, entries: journal.entries.slice(0, upTo) }));
  return folder;
}

test.each([
  ["that has nothing yet, no location is known", [], []],
  [
    "with buffers, the data folder is a location that is in use",
    [`insert into buffers (id, location) values ('${bufferId()}', 'local')`],
    ["local"],
  ],
  [
    "with runs, it is one too",
    [`insert into runs (job, timeout_seconds, buffer_access_ttl) values ('{}', 60, '01:00:00')`],
    ["local"],
  ],
])("after the upgrade of an installation %s", async (_state, statements, known) => {
  const fresh = await freshDatabase();
  onTestFinished(() => fresh.drop());
  await (await openDatabase(fresh.url, { migrationsFolder: await olderMigrations() })).close();
  for (const statement of statements) await clientOf(fresh.url).unsafe(statement);
  const database = await openDatabase(fresh.url);
  onTestFinished(() => database.close());
  expect(await database.locations.names()).toEqual(known);
});
