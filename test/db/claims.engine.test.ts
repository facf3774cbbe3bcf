import { expect, test } from "vitest";
import { createdId, openFresh, openTransaction, twentyAtOnce } from "./fixture.ts";

test("one of twenty concurrent claims wins, and all see it", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  const claims = await twentyAtOnce((place) => database.claims.claim(id, 0, `attempt-${place}`));
  expect(new Set(claims.map((claim) => claim?.attempt)).size).toBe(1);
  expect(claims[0]).toEqual({ runId: id, replica: 0, attempt: claims[0]?.attempt, state: "claimed" });
  expect(await database.claims.find(id, 0)).toEqual(claims[0]);
  expect(await database.claims.find(id, 1)).toBeUndefined();
});

test("there is no claim on a run that ended, whose cancel was requested, or that is unknown", async () => {
  const { database } = await openFresh();
  const [ended, canceled] = [await createdId(database), await createdId(database)];
  await database.claims.claim(canceled, 1, "before");
  await database.runs.finish(ended, { status: "Failed" });
  await database.runs.requestCancel(canceled);
  for (const id of [ended, canceled, 404]) expect(await database.claims.claim(id, 0, "a")).toBeUndefined();
  expect(await database.claims.claim(canceled, 1, "a")).toBeUndefined();
  expect(await database.claims.find(canceled, 1)).toMatchObject({ attempt: "before" });
});

test("a claim against a cancel: either the claim is there first, or there is none", async () => {
  const { database } = await openFresh();
  const ids = await twentyAtOnce(() => createdId(database));
  await Promise.all(
    ids.map(async (id) => {
      const [claim, canceled] = await Promise.all([
        database.claims.claim(id, 0, "a"),
        database.runs.requestCancel(id).then(() => database.claims.find(id, 0)),
      ]);
      // A claim that the canceler does not see after its request is never granted.
      expect(canceled?.attempt).toBe(claim?.attempt);
    }),
  );
});

test("a claim waits for a cancel in progress, and then fails", async () => {
  const { url, database } = await openFresh();
  const id = await createdId(database);
  const cancel = await openTransaction(url, `update runs set cancel_requested_at = now() where id = ${id}`);
  const claiming = database.claims.claim(id, 0, "a");
  await cancel.untilWaitedFor();
  await cancel.commit();
  expect(await claiming).toBeUndefined();
  expect(await database.claims.find(id, 0)).toBeUndefined();
});

test("an attempt that lost its claim records nothing", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  const { claims } = database;
  await claims.claim(id, 0, "a");
  expect(await claims.recordContainer(id, 0, "a", "container-a")).toBe(true);
  expect(await claims.takeOver(id, 0, "a", "b")).toBe(true);
  expect(await claims.find(id, 0)).toEqual({ runId: id, replica: 0, attempt: "b", state: "claimed" });
  expect(await claims.recordContainer(id, 0, "a", "container-a")).toBe(false);
  expect(await claims.recordLaunched(id, 0, "a")).toBe(false);
  expect(await claims.takeOver(id, 0, "a", "c")).toBe(false);
  expect(await claims.recordContainer(id, 0, "b", "container-b")).toBe(true);
  expect(await claims.recordLaunched(id, 0, "b")).toBe(true);
  expect(await claims.recordLaunched(id, 0, "b")).toBe(true);
  expect(await claims.recordContainer(id, 0, "b", "container-b")).toBe(true);
  expect(await claims.recordContainer(id, 0, "b", "another")).toBe(false);
  expect(await claims.claim(id, 0, "c")).toMatchObject({ attempt: "b", containerId: "container-b", state: "launched" });
  expect(await claims.takeOver(id, 0, "b", "c")).toBe(false);
});

test("one of twenty concurrent takeovers of a claim succeeds", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  await database.claims.claim(id, 0, "a");
  const taken = await twentyAtOnce((place) => database.claims.takeOver(id, 0, "a", `b-${place}`));
  expect(taken.filter(Boolean)).toHaveLength(1);
  expect((await database.claims.find(id, 0))?.attempt).toBe(`b-${taken.indexOf(true)}`);
});

test("nothing is launched after a removal, whether or not there was a claim", async () => {
  const { database } = await openFresh();
  const [claimed, unclaimed] = [await createdId(database), await createdId(database)];
  const claim = await database.claims.claim(claimed, 0, "a");
  expect(await database.claims.markRemoved(claimed, 0)).toEqual({ ...claim, state: "removed" });
  expect(await database.claims.markRemoved(unclaimed, 0)).toBeUndefined();
  expect(await database.claims.markRemoved(404, 0)).toBeUndefined();
  for (const id of [claimed, unclaimed]) {
    expect(await database.claims.claim(id, 0, "b")).toMatchObject({ state: "removed" });
    for (const attempt of ["", "a", "b"]) {
      expect(await database.claims.recordContainer(id, 0, attempt, "c")).toBe(false);
      expect(await database.claims.recordLaunched(id, 0, attempt)).toBe(false);
      expect(await database.claims.takeOver(id, 0, attempt, "d")).toBe(false);
    }
    expect(await database.claims.markRemoved(id, 0)).toMatchObject({ state: "removed" });
  }
});

test("a claim and a removal at once leave a removed claim", async () => {
  const { database } = await openFresh();
  const ids = await twentyAtOnce(() => createdId(database));
  await Promise.all(ids.flatMap((id) => [database.claims.claim(id, 0, "a"), database.claims.markRemoved(id, 0)]));
  for (const id of ids) expect(await database.claims.find(id, 0)).toMatchObject({ state: "removed" });
});
