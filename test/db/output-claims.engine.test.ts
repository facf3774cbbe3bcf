import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { openDatabase } from "../../db/database.ts";
import { freshDatabase } from "../engines.ts";
import { bufferId, createdId, createdRun, jobWithOutputs, newRun, openFresh, openTransaction } from "./fixture.ts";

const succeeded = { status: "Succeeded" } as const;

test("a run has its outputs until they are released, and only an ended run with outputs is listed as unsettled", async () => {
  const { database } = await openFresh();
  const { runs } = database;
  const [given, created] = [bufferId(), bufferId()].toSorted();
  const job = jobWithOutputs(given ?? "", created ?? "");
  const newBuffers = [{ id: created ?? "", location: "local" }];
  const [run, bare] = [await createdRun(database, { job, newBuffers }), await createdRun(database)];
  expect(await runs.outputClaims(run)).toEqual([
    { bufferId: given, hasToken: true },
    { bufferId: created, hasToken: true },
  ]);
  expect([await runs.outputClaims(bare), await database.runsIn("docker").unsettled()]).toEqual([[], []]);
  await runs.finish(run, succeeded);
  await runs.finish(bare, succeeded);
  expect(await database.runsIn("docker").unsettled()).toEqual([run]);
  // Its outputs have no end marks yet.
  const again = newRun({ job: jobWithOutputs(created ?? "") });
  await expect(runs.create(again)).rejects.toMatchObject({
    code: "InvalidInput",
    message: `The buffer '${created}' is an output of the run '${run.id}', which has not ended; give the output 'out0' another one, or none`,
  });
  await runs.releaseOutputs(run);
  expect([await runs.outputClaims(run), await database.runsIn("docker").unsettled()]).toEqual([[], []]);
  expect((await runs.create(again)).created).toBe(true);
});

test("nothing of a refused run is stored", async () => {
  const { database } = await openFresh();
  const { runs, buffers } = database;
  const [taken, free, created] = [bufferId(), bufferId(), bufferId()];
  await createdId(database, { job: jobWithOutputs(taken) });
  const job = jobWithOutputs(free, taken, created);
  const newBuffers = [{ id: created, location: "local" }];
  const idempotencyKey = { owner: "local", text: "key" };
  await expect(runs.create(newRun({ job, newBuffers, idempotencyKey }))).rejects.toMatchObject({
    code: "InvalidInput",
  });
  expect([await buffers.find(created), await runs.findByKey(idempotencyKey), await runs.countOpen()]).toEqual([
    undefined,
    undefined,
    1,
  ]);
  await createdId(database, { job: jobWithOutputs(free) });
});

test.each([
  ["commit", "InvalidInput"],
  ["rollback", "created"],
] as const)("a creation waits for one in progress with its output, until its %s", async (end, result) => {
  const { url, database } = await openFresh();
  const holder = await createdRun(database);
  const wanted = bufferId();
  const other = await openTransaction(
    url,
    `insert into output_claims (buffer_id, run_id) values ('${wanted}', ${holder.id})`,
  );
  const creating = database.runs.create(newRun({ job: jobWithOutputs(wanted) })).then(
    () => "created",
    (err: { code: string }) => err.code,
  );
  await other.untilWaitedFor();
  await other[end]();
  expect(await creating).toBe(result);
});

test("runs with the same outputs in another order do not block each other", async () => {
  const { url, database } = await openFresh();
  const holder = await createdRun(database);
  const [low = "", high = ""] = [bufferId(), bufferId()].toSorted();
  const claim = (id: string) => `insert into output_claims (buffer_id, run_id) values ('${id}', ${holder.id})`;
  const other = await openTransaction(url, claim(low));
  const creating = database.runs.create(newRun({ job: jobWithOutputs(high, low) })).catch((err: unknown) => err);
  await other.untilWaitedFor();
  await other.run(claim(high));
  await other.commit();
  expect(await creating).toMatchObject({ code: "InvalidInput", message: expect.stringContaining(`'${low}'`) });
});

/** The migrations of the version before claims. */
async function olderMigrations(count: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tyger-migrations-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await cp(join(import.meta.dirname, "../../db/migrations"), folder, { recursive: true });
  const file = join(folder, "meta/_journal.json");
  const journal = JSON.parse(await readFile(file, "utf8")) as { entries: object[] };
  await writeFile(file, JSON.stringify({ ...journal, entries: journal.entries.slice(0, count) }));
  return folder;
}

test("an upgrade claims the outputs of runs that are open or not archived; of two open ones the older has a buffer", async () => {
  const fresh = await freshDatabase();
  onTestFinished(() => fresh.drop());
  const older = await openDatabase(fresh.url, { migrationsFolder: await olderMigrations(6) });
  await older.close();
  const sql = postgres(fresh.url, { max: 1, onnotice: () => {} });
  onTestFinished(() => sql.end({ timeout: 1 }));
  const insert = async (status: string, job: object, archivedAt: string | null = null): Promise<number> => {
    const [row] = await sql`insert into runs (status, job, timeout_seconds, buffer_access_ttl, archived_at)
      values (${status}, ${JSON.stringify(job)}::text::json, 60, '01:00:00', ${archivedAt}) returning id::int`;
    return (row as { id: number }).id;
  };
  const ids = [bufferId(), bufferId(), bufferId(), bufferId(), bufferId()] as const;
  const [shared, own, left, done, input] = ids;
  const inputs = { codespec: { kind: "job", image: "i", buffers: { inputs: ["in"] } }, buffers: { in: input } };
  const unmarked = await insert("Failed", jobWithOutputs(left, shared));
  const first = await insert("Running", jobWithOutputs(shared));
  const second = await insert("Pending", jobWithOutputs(shared, own));
  await insert("Succeeded", jobWithOutputs(done), new Date().toISOString());
  await insert("Running", inputs);
  await insert("Running", { codespec: { kind: "job", image: "i" } });

  const newer = await openDatabase(fresh.url);
  onTestFinished(() => newer.close());
  const claims = await sql`select buffer_id, run_id::int, has_token from output_claims order by run_id`;
  expect(claims.map((row) => ({ ...row }))).toEqual([
    { buffer_id: left, run_id: unmarked, has_token: false },
    { buffer_id: shared, run_id: first, has_token: false },
    { buffer_id: own, run_id: second, has_token: false },
  ]);
  expect(await newer.runsIn("docker").unsettled()).toEqual([{ id: unmarked }]);
  await expect(newer.runs.create(newRun({ job: jobWithOutputs(shared) }))).rejects.toThrow(`the run '${first}'`);
});
