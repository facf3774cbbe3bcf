import postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { createdRun, openFresh, openTransaction, twentyAtOnce } from "./fixture.ts";

test("one of twenty concurrent claims wins, and all see it", async () => {
  const { database } = await openFresh();
  const run = await createdRun(database);
  const claims = await twentyAtOnce((place) => database.claims.claim(run, 0, `attempt-${place}`));
  expect(new Set(claims.map((claim) => claim?.attempt)).size).toBe(1);
  expect(claims[0]).toEqual({
    runId: run.id,
    runUid: run.uid,
    replica: 0,
    attempt: claims[0]?.attempt,
    state: "claimed",
  });
  expect(await database.claims.find(run, 0)).toEqual(claims[0]);
  expect(await database.claims.find(run, 1)).toBeUndefined();
});

test("there is no claim on a run that ended, whose cancel was requested, or that is unknown", async () => {
  const { database } = await openFresh();
  const [ended, canceled] = [await createdRun(database), await createdRun(database)];
  await database.claims.claim(canceled, 1, "before");
  await database.runs.finish(ended, { status: "Failed" });
  await database.runs.requestCancel(canceled.id);
  for (const run of [ended, canceled, { id: 404 }]) expect(await database.claims.claim(run, 0, "a")).toBeUndefined();
  expect(await database.claims.claim(canceled, 1, "a")).toBeUndefined();
  expect(await database.claims.find(canceled, 1)).toMatchObject({ attempt: "before" });
});

test("a claim against a cancel: either the claim is there first, or there is none", async () => {
  const { database } = await openFresh();
  const runs = await twentyAtOnce(() => createdRun(database));
  await Promise.all(
    runs.map(async (run) => {
      const [claim, canceled] = await Promise.all([
        database.claims.claim(run, 0, "a"),
        database.runs.requestCancel(run.id).then(() => database.claims.find(run, 0)),
      ]);
      // A claim that the canceler does not see after its request is never granted.
      expect(canceled?.attempt).toBe(claim?.attempt);
    }),
  );
});

test("a claim waits for a cancel in progress, and then fails", async () => {
  const { url, database } = await openFresh();
  const run = await createdRun(database);
  const cancel = await openTransaction(url, `update runs set cancel_requested_at = now() where id = ${run.id}`);
  const claiming = database.claims.claim(run, 0, "a");
  await cancel.untilWaitedFor();
  await cancel.commit();
  expect(await claiming).toBeUndefined();
  expect(await database.claims.find(run, 0)).toBeUndefined();
});

test("a container that was undone is forgotten, and one that was launched or is another's is not", async () => {
  const { database } = await openFresh();
  const run = await createdRun(database);
  const { claims } = database;
  const containerId = async (): Promise<string | undefined> => (await claims.find(run, 0))?.containerId;
  await claims.claim(run, 0, "a");
  await claims.recordContainer(run, 0, "a", "first");
  await claims.forgetContainer(run, 0, "another");
  await claims.forgetContainer({ id: run.id, uid: "another" }, 0, "first");
  expect(await containerId()).toBe("first");
  await claims.forgetContainer(run, 0, "first");
  expect(await containerId()).toBeUndefined();
  await claims.recordContainer(run, 0, "a", "second");
  await claims.recordLaunched(run, 0, "a");
  await claims.forgetContainer(run, 0, "second");
  expect(await containerId()).toBe("second");
});

test("an attempt that lost its claim records nothing", async () => {
  const { database } = await openFresh();
  const run = await createdRun(database);
  const { claims } = database;
  await claims.claim(run, 0, "a");
  expect(await claims.recordContainer(run, 0, "a", "container-a")).toBe(true);
  expect(await claims.takeOver(run, 0, "a", "b")).toBe(true);
  expect(await claims.find(run, 0)).toEqual({
    runId: run.id,
    runUid: run.uid,
    replica: 0,
    attempt: "b",
    state: "claimed",
  });
  expect(await claims.recordContainer(run, 0, "a", "container-a")).toBe(false);
  expect(await claims.recordLaunched(run, 0, "a")).toBe(false);
  expect(await claims.takeOver(run, 0, "a", "c")).toBe(false);
  expect(await claims.recordContainer(run, 0, "b", "container-b")).toBe(true);
  expect(await claims.recordLaunched(run, 0, "b")).toBe(true);
  expect(await claims.recordLaunched(run, 0, "b")).toBe(true);
  expect(await claims.recordContainer(run, 0, "b", "container-b")).toBe(true);
  expect(await claims.recordContainer(run, 0, "b", "another")).toBe(false);
  expect(await claims.claim(run, 0, "c")).toMatchObject({
    attempt: "b",
    containerId: "container-b",
    state: "launched",
  });
  expect(await claims.takeOver(run, 0, "b", "c")).toBe(false);
});

test("one of twenty concurrent takeovers of a claim succeeds", async () => {
  const { database } = await openFresh();
  const run = await createdRun(database);
  await database.claims.claim(run, 0, "a");
  const taken = await twentyAtOnce((place) => database.claims.takeOver(run, 0, "a", `b-${place}`));
  expect(taken.filter(Boolean)).toHaveLength(1);
  expect((await database.claims.find(run, 0))?.attempt).toBe(`b-${taken.indexOf(true)}`);
});

test("nothing is launched after a removal, whether or not there was a claim", async () => {
  const { database } = await openFresh();
  const [claimed, unclaimed] = [await createdRun(database), await createdRun(database)];
  const claim = await database.claims.claim(claimed, 0, "a");
  expect(await database.claims.markRemoved(claimed, 0)).toEqual({ ...claim, state: "removed" });
  expect(await database.claims.markRemoved(unclaimed, 0)).toBeUndefined();
  expect(await database.claims.markRemoved({ id: 404 }, 0)).toBeUndefined();
  for (const run of [claimed, unclaimed]) {
    expect(await database.claims.claim(run, 0, "b")).toMatchObject({ state: "removed" });
    for (const attempt of ["", "a", "b"]) {
      expect(await database.claims.recordContainer(run, 0, attempt, "c")).toBe(false);
      expect(await database.claims.recordLaunched(run, 0, attempt)).toBe(false);
      expect(await database.claims.takeOver(run, 0, attempt, "d")).toBe(false);
    }
    expect(await database.claims.markRemoved(run, 0)).toMatchObject({ state: "removed" });
  }
});

test("a claim and a removal at once leave a removed claim", async () => {
  const { database } = await openFresh();
  const runs = await twentyAtOnce(() => createdRun(database));
  await Promise.all(runs.flatMap((run) => [database.claims.claim(run, 0, "a"), database.claims.markRemoved(run, 0)]));
  for (const run of runs) expect(await database.claims.find(run, 0)).toMatchObject({ state: "removed" });
});

test("the claim of another run with the same number is neither given out nor changed", async () => {
  const { url, database } = await openFresh();
  const lost = await createdRun(database);
  const claim = await database.claims.claim(lost, 0, "a");
  const client = postgres(url, { max: 1, onnotice: () => {} });
  onTestFinished(() => client.end({ timeout: 1 }));
  await client`update runs set uid = 'another' where id = ${lost.id}`;
  const run = { id: lost.id, uid: "another" };
  const { claims } = database;
  await expect(claims.claim(run, 0, "b")).rejects.toMatchObject({
    code: "LaunchFailed",
    message: `The launch claim belongs to another run with the number ${run.id}`,
  });
  expect(await claims.claim(lost, 0, "c")).toBeUndefined();
  for (const other of [run, { id: run.id }]) {
    expect(await claims.find(other, 0)).toBeUndefined();
    expect(await claims.takeOver(other, 0, "a", "b")).toBe(false);
    expect(await claims.recordContainer(other, 0, "a", "c")).toBe(false);
    expect(await claims.recordLaunched(other, 0, "a")).toBe(false);
    expect(await claims.markRemoved(other, 0)).toBeUndefined();
  }
  expect(await claims.find(lost, 0)).toEqual(claim);
});

test("a run that is older than uids has claims without one", async () => {
  const { url, database } = await openFresh();
  const { id } = await createdRun(database);
  const client = postgres(url, { max: 1, onnotice: () => {} });
  onTestFinished(() => client.end({ timeout: 1 }));
  await client`update runs set uid = null where id = ${id}`;
  await client`insert into launches (run_id, replica, attempt, container_id, state) values (${id}, 0, 'a', 'c', 'launched')`;
  expect(await database.claims.claim({ id }, 0, "b")).toMatchObject({ attempt: "a", containerId: "c" });
  expect(await database.claims.claim({ id }, 1, "b")).toEqual({
    runId: id,
    replica: 1,
    attempt: "b",
    state: "claimed",
  });
});

test("the claims of a run's replicas are its own, and are found together", async () => {
  const { database } = await openFresh();
  const { claims } = database;
  const [run, other] = [await createdRun(database), await createdRun(database)];
  for (const replica of [0, 2]) await claims.claim(run, replica, `a${replica}`);
  await claims.claim(other, 1, "b");
  await claims.markRemoved(run, 2);
  const found = (await claims.findAll(run)).toSorted((a, b) => a.replica - b.replica);
  expect(found.map(({ replica, attempt, state }) => ({ replica, attempt, state }))).toEqual([
    { replica: 0, attempt: "a0", state: "claimed" },
    { replica: 2, attempt: "a2", state: "removed" },
  ]);
  expect(await claims.findAll({ id: run.id, uid: "another" })).toEqual([]);
});
