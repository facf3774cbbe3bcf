import { isSameCodespec } from "../../fakes/codespecs.ts";
import { expect, test } from "vitest";
import type { Outcome } from "../../../model/run/lifecycle.ts";
import type { RunRecord } from "../../../model/run/run.ts";
import { nanosecondsOf } from "../../../model/time/timestamp.ts";
import {
  bufferId,
  codespec,
  createdId,
  createdRun,
  newRun,
  openFresh,
  openTransaction,
  twentyAtOnce,
} from "../fixture.ts";

const SHOWN = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{0,5}[1-9])?\+00:00$/;
const succeeded: Outcome = { status: "Succeeded", finishedAt: "2099-01-01T00:00:00Z" };

test("a run, its buffers and its key are written together or not at all", async () => {
  const { database } = await openFresh();
  const [id, taken] = [bufferId(), bufferId()];
  await database.buffers.create({ id: taken, location: "local" });
  const newBuffers = [id, taken].map((id) => ({ id, location: "local" }));
  await expect(database.runs.create(newRun({ newBuffers, idempotencyKey: "key" }))).rejects.toThrow("23505");
  expect(await database.buffers.find(id)).toBeUndefined();
  expect(await database.runs.findByKey("key")).toBeUndefined();
  expect(await database.runs.countOpen()).toBe(0);
  expect(await database.runs.counts({})).toEqual({});

  const { run } = await database.runs.create(
    newRun({ newBuffers: newBuffers.slice(0, 1), idempotencyKey: "key", tags: { a: "1" } }),
  );
  expect(await database.buffers.find(id)).toMatchObject({ id, location: "local" });
  expect(await database.runs.findByKey("key")).toEqual(run);
});

test.each(["nul\0", "half \ud800", "\udc00 half"])("text that Postgres cannot store is refused: %j", async (text) => {
  const { database } = await openFresh();
  const refusal = expect.objectContaining({ code: "InvalidInput" });
  for (const given of [
    { job: { codespec: { ...codespec, args: [text] } } },
    { job: { codespec: { ...codespec, env: { [text]: "" } } } },
    { tags: { a: text } },
    { newBuffers: [{ id: bufferId(), location: "local", tags: { a: text } }] },
  ]) {
    await expect(database.runs.create(newRun(given))).rejects.toEqual(refusal);
  }
  await expect(database.runs.list({ limit: 1, tags: { a: text } })).rejects.toEqual(refusal);
  await expect(database.codespecs.put("name", { ...codespec, image: text }, isSameCodespec)).rejects.toEqual(refusal);
  await expect(database.buffers.create({ id: text, location: "local" })).rejects.toEqual(refusal);
  expect(await database.buffers.find(text)).toBeUndefined();
  expect(await database.codespecs.find(text)).toBeUndefined();
  expect(await database.runs.findByKey(text)).toBeUndefined();
  expect(await database.runs.countOpen()).toBe(0);
});

test("an engine's message that Postgres cannot store does not keep a run from ending", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  const run = await database.runs.finish(id, { status: "Failed", statusReason: "bad\0 \ud800" });
  expect(run).toMatchObject({ status: "Failed", statusReason: "bad\ufffd \ufffd" });
});

test("a number too large for the column is refused as input", async () => {
  const { database } = await openFresh();
  await expect(database.runs.create(newRun({ timeoutSeconds: 2 ** 40 }))).rejects.toMatchObject({
    code: "InvalidInput",
  });
});

test("a run is Running from its start, and its times never run backwards", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  const { createdAt } = (await database.runs.find(id)) as RunRecord;
  await database.runs.recordRunning(id, 1, "2001-01-01T00:00:00.123456789Z");
  const running = await database.runs.find(id);
  expect(running).toMatchObject({ status: "Running", revision: 1, startedAt: createdAt });
  const done = await database.runs.finish(id, { status: "Succeeded", finishedAt: "2001-01-01T00:00:00Z" });
  expect(done).toMatchObject({ status: "Succeeded", startedAt: createdAt, finishedAt: createdAt });
});

test("times from the engine are cut to microseconds, and the first start stays", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  await database.runs.recordRunning(id, 1, "2098-01-01T00:00:00.123456999Z");
  await database.runs.recordRunning(id, 2, "2098-06-01T00:00:00Z");
  const outcome = { ...succeeded, startedAt: "2098-07-01T00:00:00Z", finishedAt: "2098-01-01T00:00:00Z" };
  const done = await database.runs.finish(id, outcome);
  expect(done.startedAt).toBe("2098-01-01T00:00:00.123456+00:00");
  expect(nanosecondsOf(done.finishedAt ?? "")).toBeGreaterThanOrEqual(nanosecondsOf(done.startedAt ?? "") ?? NaN);
});

test("a run that never started has no start, and an end only if the outcome dates it", async () => {
  const { database } = await openFresh();
  const [first, second] = [await createdId(database), await createdId(database)];
  expect(await database.runs.finish(first, { status: "Failed" })).not.toHaveProperty("finishedAt");
  const dated = await database.runs.finish(second, succeeded);
  expect(dated).toMatchObject({ finishedAt: "2099-01-01T00:00:00+00:00" });
  expect(dated).not.toHaveProperty("startedAt");
});

test("a terminal run never changes again", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  await database.runs.recordWorkflowStarted(id);
  const done = await database.runs.finish(id, succeeded);
  await database.runs.recordRunning(id, 99, "2098-01-01T00:00:00Z");
  expect(await database.runs.finish(id, { status: "Failed", statusReason: "late" })).toEqual(done);
  expect(await database.runs.requestCancel(id)).toEqual(done);
  expect(await database.runs.admit(id, 10)).toBe(false);
  expect(await database.runs.find(id)).toEqual(done);
});

test("finishing or loading an unknown run fails: it was not found", async () => {
  const { database } = await openFresh();
  await expect(database.runs.finish(12, succeeded)).rejects.toMatchObject({ code: "NotFound" });
  await expect(database.runs.load({ id: 12 })).rejects.toMatchObject({ code: "NotFound" });
});

test("an older revision does not move a run", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  await database.runs.requestCancel(id);
  await database.runs.recordRunning(id, 1, "2098-01-01T00:00:00Z");
  expect(await database.runs.find(id)).toMatchObject({ status: "Canceling", revision: 1 });
  expect(await database.runs.find(id)).not.toHaveProperty("startedAt");
});

test("one of twenty concurrent outcomes is kept, and all calls return it", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  const answers = await twentyAtOnce((place) =>
    database.runs.finish(id, { ...succeeded, status: place % 2 ? "Failed" : "Canceled", statusReason: `${place}` }),
  );
  expect(new Set(answers.map((run) => JSON.stringify(run))).size).toBe(1);
  expect(await database.runs.counts({})).toEqual({ [answers[0]?.status ?? ""]: 1 });
});

test("tags can be set on an ended run and do not change its end; an unknown run has none", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  const ended = await database.runs.finish(id, succeeded);
  const { eTag: _eTag, tags, ...rest } = (await database.runs.setTags(id, { a: "1" })) ?? {};
  expect([tags, rest]).toEqual([
    { a: "1" },
    expect.objectContaining({ status: "Succeeded", revision: ended.revision }),
  ]);
  for (const unknown of [id + 1, 0, 2 ** 60]) expect(await database.runs.setTags(unknown, {})).toBeUndefined();
  await expect(database.runs.setTags(id, { a: "\0" })).rejects.toMatchObject({ code: "InvalidInput" });
});

test("one of three writers that saw the same eTag sets its tags", async () => {
  const { database, url } = await openFresh();
  const id = await createdId(database);
  const { eTag } = (await database.runs.find(id)) ?? {};
  // All three have begun before any can end.
  const other = await openTransaction(url, `select from runs where id = ${id} for update`);
  const writing = ["a", "b", "c"].map((writer) =>
    database.runs.setTags(id, { writer }, eTag).catch((err: unknown) => err),
  );
  await other.untilWaitedFor(writing.length);
  await other.commit();
  const answers = await Promise.all(writing);
  const refused = answers.filter((answer) => answer instanceof Error);
  expect(refused.map((err) => "code" in err && err.code)).toEqual(["PreconditionFailed", "PreconditionFailed"]);
  expect(await database.runs.find(id)).toEqual(answers.find((answer) => !(answer instanceof Error)));
});

test("a run that is being canceled stays so when its container starts", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  await database.runs.requestCancel(id);
  await database.runs.recordRunning(id, 7, undefined);
  expect(await database.runs.find(id)).toMatchObject({ status: "Canceling" });
  expect(await database.runs.finish(id, { status: "Canceled" })).toMatchObject({ status: "Canceled" });
  expect(await database.runs.counts({})).toEqual({ Canceled: 1 });
});

test("the eTag changes with the fields that clients see, and with nothing else", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  const eTagNow = async (): Promise<string> => (await database.runs.find(id))?.eTag ?? "";
  const seen = [await eTagNow()];
  await database.runs.recordWorkflowStarted(id);
  await database.runs.admit(id, 1);
  expect(await eTagNow()).toBe(seen.at(-1));
  await database.runs.recordRunning(id, 1, undefined);
  seen.push(await eTagNow());
  await database.runs.recordRunning(id, 2, undefined);
  expect(await eTagNow()).toBe(seen.at(-1));
  await database.runs.recordRunning(id, 3, "2098-01-01T00:00:00Z");
  seen.push(await eTagNow());
  await database.runs.finish(id, succeeded);
  seen.push(await eTagNow());
  await database.runs.recordArchived(id);
  expect(await eTagNow()).toBe(seen.at(-1));
  expect(new Set(seen).size).toBe(seen.length);
  const listed = await database.runs.list({ limit: 1 });
  expect(listed.items[0]?.eTag).toBe(seen.at(-1));
});

test("the reconciler's lists have the runs left to repair, and are empty once they are repaired", async () => {
  const { database } = await openFresh();
  const [first, second] = [await createdRun(database), await createdRun(database)];
  expect(await database.runs.unstarted()).toEqual([first, second]);
  await database.runs.recordWorkflowStarted(first.id);
  const { workflowStartedAt } = (await database.runs.find(first.id)) as RunRecord;
  await database.runs.recordWorkflowStarted(first.id);
  expect(await database.runs.find(first.id)).toMatchObject({ workflowStartedAt });
  expect(await database.runs.unstarted()).toEqual([second]);

  const canceled = await database.runs.requestCancel(second.id);
  expect(await database.runs.open()).toEqual([
    { ...first, createdAt: expect.stringMatching(SHOWN), timeoutSeconds: 43_200 },
    expect.objectContaining({ ...second, cancelRequestedAt: canceled?.cancelRequestedAt }),
  ]);
  await database.runs.recordArchived(first.id);
  expect(await database.runs.find(first.id)).not.toHaveProperty("archivedAt");
  await database.runs.finish(first.id, succeeded);
  expect(await database.runs.unarchived()).toEqual([first]);
  await database.runs.recordArchived(first.id);
  expect(await database.runs.unarchived()).toEqual([]);
  expect(await database.runs.find(first.id)).toMatchObject({ archivedAt: expect.stringMatching(SHOWN) });
  expect(await database.runs.open()).toHaveLength(1);
  expect(await database.runs.countOpen()).toBe(1);
});

test("each run has a uid of its own, and is loaded only with it", async () => {
  const { database } = await openFresh();
  const runs = await twentyAtOnce(() => createdRun(database));
  expect(new Set(runs.map(({ uid }) => uid)).size).toBe(20);
  const [{ id, uid } = { id: 0 }] = runs;
  expect(uid).toMatch(/^[a-z2-7]{16}$/);
  expect(await database.runs.load({ id, ...(uid !== undefined && { uid }) })).toMatchObject({ id, uid });
  for (const other of [{ id }, { id, uid: "another" }]) {
    await expect(database.runs.load(other)).rejects.toMatchObject({ code: "NotFound" });
  }
});

test("numbers are raised above those in use, and never lowered", async () => {
  const { database } = await openFresh();
  expect(await database.runs.raiseNumbers(0)).toBe(false);
  expect(await createdId(database)).toBe(1);
  expect(await database.runs.raiseNumbers(1)).toBe(false);
  expect(await database.runs.raiseNumbers(41)).toBe(true);
  expect(await createdId(database)).toBe(42);
  expect(await database.runs.raiseNumbers(7)).toBe(false);
  expect(await createdId(database)).toBe(43);
});

test("no number is given out twice while they are raised", async () => {
  const { database } = await openFresh();
  const ids = await twentyAtOnce(async (place) => {
    await database.runs.raiseNumbers(place * 3);
    return createdId(database);
  });
  expect(new Set(ids).size).toBe(20);
});
