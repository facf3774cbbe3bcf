import { expect, test } from "vitest";
import type { Database } from "../../../model/ports/database.ts";
import type { RunIdentity } from "../../../model/run/identity.ts";
import { bufferId, createdRun, jobWithOutputs, openFresh, openTransaction } from "../fixture.ts";

const succeeded = { status: "Succeeded" } as const;

async function startedRun(database: Database, cluster: string): Promise<RunIdentity> {
  const run = await createdRun(database, { cluster, job: jobWithOutputs(bufferId()) });
  await database.runs.recordWorkflowStarted(run.id);
  return run;
}

test("a run of another cluster is in no list of the reconciler, and cannot be loaded", async () => {
  const { database } = await openFresh();
  const [a, b] = [database.runsIn("a"), database.runsIn("b")];
  const run = await createdRun(database, { cluster: "b", job: jobWithOutputs(bufferId()) });
  const isNowhereIn = async (records: typeof a): Promise<boolean> => {
    const lists = [records.unstarted(), records.open(), records.overdue(), records.unarchived(), records.unsettled()];
    return (await Promise.all(lists)).every((list) => list.length === 0);
  };

  expect([await a.unstarted(), (await b.unstarted()).map(({ id }) => id)]).toEqual([[], [run.id]]);
  await database.runs.requestCancel(run.id);
  expect([(await a.overdue()).length, (await b.overdue()).length]).toEqual([0, 1]);
  expect([(await a.open()).length, (await b.open()).length]).toEqual([0, 1]);
  expect(await a.states([run.id])).toEqual([{ ...run, phase: "Elsewhere" }]);
  expect(await b.states([run.id])).toEqual([{ ...run, phase: "Open" }]);
  await database.runs.finish(run, succeeded);
  expect([(await b.unarchived()).length, (await b.unsettled()).length]).toEqual([1, 1]);
  expect(await isNowhereIn(a)).toBe(true);

  expect(await database.runs.clustersInUse()).toEqual(["b"]);
  await createdRun(database, { cluster: "a" });
  expect(await database.runs.clustersInUse()).toEqual(["a", "b"]);
  await database.runs.recordArchived(run);
  expect(await database.runs.clustersInUse()).toEqual(["a"]);

  await expect(a.load(run)).rejects.toMatchObject({ code: "NotFound" });
  expect(await b.load(run)).toMatchObject({ ...run, cluster: "b" });
  // For the API, which is that of all clusters.
  expect(await database.runs.load(run)).toMatchObject({ ...run, cluster: "b" });
});

test("each cluster has slots of its own, and its oldest queued run gets the next one", async () => {
  const { database } = await openFresh();
  const [a, b] = [database.runsIn("a"), database.runsIn("b")];
  const [first, second] = [await startedRun(database, "a"), await startedRun(database, "a")];
  const [third, fourth] = [await startedRun(database, "b"), await startedRun(database, "b")];
  // The older runs of the other cluster do not matter here.
  expect(await b.admit(third.id, 1)).toBe(true);
  expect(await b.admit(fourth.id, 1)).toBe(false);
  expect(await a.admit(first.id, 1)).toBe(true);
  expect(await a.admit(second.id, 1)).toBe(false);
  expect([await a.nextToAdmit(2), await b.nextToAdmit(2)]).toEqual([[second.id], [fourth.id]]);
  await database.runs.finish(third, succeeded);
  expect([await a.nextToAdmit(1), await b.nextToAdmit(1)]).toEqual([[], [fourth.id]]);
  expect(await a.admit(fourth.id, 9)).toBe(false);
  expect((await database.runs.load(fourth)).admittedAt).toBeUndefined();
  expect(await b.admit(fourth.id, 1)).toBe(true);
});

test("an admission does not wait for one of another cluster", async () => {
  const { url, database } = await openFresh();
  const [here, there] = [await startedRun(database, "docker"), await startedRun(database, "b")];
  // The lock of workers of older versions, which have the one cluster.
  const admission = await openTransaction(url, "select pg_advisory_xact_lock(hashtextextended('tyger admission', 0))");
  const asking = database.runsIn("docker").admit(here.id, 1);
  await admission.untilWaitedFor();
  expect(await database.runsIn("b").admit(there.id, 1)).toBe(true);
  await admission.commit();
  expect(await asking).toBe(true);
});
