import { createHash } from "node:crypto";
import postgres from "postgres";
import { isSameCodespec } from "../../fakes/codespecs.ts";
import { expect, test } from "vitest";
import type { Outcome } from "../../../model/run/lifecycle.ts";
import type { RunRecord } from "../../../model/run/run.ts";
import { nanosecondsOf } from "../../../model/time/timestamp.ts";
import { eventually } from "../../eventually.ts";
import {
  bufferId,
  codespec,
  createdId,
  createdRun,
  endRun,
  newRun,
  openFresh,
  openTransaction,
  twentyAtOnce,
} from "../fixture.ts";

const SHOWN = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{0,5}[1-9])?\+00:00$/;
const KEY = { owner: "local", text: "key" };
const succeeded: Outcome = { status: "Succeeded", finishedAt: "2099-01-01T00:00:00Z" };

test("a run, its buffers and its key are written together or not at all", async () => {
  const { database } = await openFresh();
  const [id, taken] = [bufferId(), bufferId()];
  await database.buffers.create({ id: taken, location: "local" });
  const newBuffers = [id, taken].map((id) => ({ id, location: "local" }));
  await expect(database.runs.create(newRun({ newBuffers, idempotencyKey: KEY }))).rejects.toThrow("23505");
  expect(await database.buffers.find(id)).toBeUndefined();
  expect(await database.runs.findByKey(KEY)).toBeUndefined();
  expect(await database.runs.countOpen()).toBe(0);
  expect(await database.runs.counts({})).toEqual({});

  const { run } = await database.runs.create(
    newRun({ newBuffers: newBuffers.slice(0, 1), idempotencyKey: KEY, tags: { a: "1" } }),
  );
  expect(await database.buffers.find(id)).toMatchObject({ id, location: "local" });
  expect(await database.runs.findByKey(KEY)).toEqual(run);
});

test("a key from before there were other callers is the local user's", async () => {
  const { database, url } = await openFresh();
  const id = await createdId(database);
  const raw = postgres(url, { max: 1 });
  await raw`update runs set idempotency_key_hash = ${createHash("sha256").update("key").digest("hex")}`;
  await raw.end({ timeout: 1 });
  expect((await database.runs.findByKey(KEY))?.id).toBe(id);
  expect(await createdId(database, { idempotencyKey: KEY })).toBe(id);
  expect(await database.runs.findByKey({ owner: "eve", text: "key" })).toBeUndefined();
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
  expect(await database.runs.findByKey({ owner: text, text })).toBeUndefined();
  expect(await database.runs.countOpen()).toBe(0);
});

test("an engine's message that Postgres cannot store does not keep a run from ending", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  const run = await endRun(database, id, { status: "Failed", statusReason: "bad\0 \ud800" });
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
  const done = await endRun(database, id, { status: "Succeeded", finishedAt: "2001-01-01T00:00:00Z" });
  expect(done).toMatchObject({ status: "Succeeded", startedAt: createdAt, finishedAt: createdAt });
});

test("times from the engine are cut to microseconds, and the first start stays", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  await database.runs.recordRunning(id, 1, "2098-01-01T00:00:00.123456999Z");
  await database.runs.recordRunning(id, 2, "2098-06-01T00:00:00Z");
  const outcome = { ...succeeded, startedAt: "2098-07-01T00:00:00Z", finishedAt: "2098-01-01T00:00:00Z" };
  const done = await endRun(database, id, outcome);
  expect(done.startedAt).toBe("2098-01-01T00:00:00.123456+00:00");
  expect(nanosecondsOf(done.finishedAt ?? "")).toBeGreaterThanOrEqual(nanosecondsOf(done.startedAt ?? "") ?? NaN);
});

test("a Pending run has the reason for which it waits until it starts", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  const { runs } = database;
  const run = (await runs.find(id)) as RunRecord;
  await runs.recordWaiting(run, "no node");
  const waiting = await runs.find(id);
  expect(waiting).toMatchObject({ status: "Pending", statusReason: "no node" });
  expect(waiting?.eTag).not.toBe(run.eTag);
  await runs.recordWaiting(run, "no node");
  expect(await runs.find(id)).toEqual(waiting);
  await runs.recordWaiting(run, undefined);
  expect(await runs.find(id)).not.toHaveProperty("statusReason");
  await runs.recordWaiting(run, "no image");
  await runs.recordStart({ id, uid: "another" }, "2098-01-01T00:00:00Z");
  expect(await runs.find(id)).toMatchObject({ status: "Pending" });
  await runs.recordStart(run, "2098-01-01T00:00:00Z");
  const started = await runs.find(id);
  expect(started).toMatchObject({ status: "Running", startedAt: "2098-01-01T00:00:00+00:00" });
  expect(started).not.toHaveProperty("statusReason");
  await runs.recordWaiting(run, "late");
  await runs.recordStart(run, "2097-01-01T00:00:00Z");
  expect(await runs.find(id)).toEqual(started);
});

test("a launch that sees its container run forgets why it was waiting", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  await database.runs.recordWaiting((await database.runs.find(id)) as RunRecord, "no node");
  await database.runs.recordRunning(id, 9, undefined);
  expect(await database.runs.find(id)).not.toHaveProperty("statusReason");
});

test("a run that never started has no start, and an end only if the outcome dates it", async () => {
  const { database } = await openFresh();
  const [first, second] = [await createdId(database), await createdId(database)];
  expect(await endRun(database, first, { status: "Failed" })).not.toHaveProperty("finishedAt");
  const dated = await endRun(database, second, succeeded);
  expect(dated).toMatchObject({ finishedAt: "2099-01-01T00:00:00+00:00" });
  expect(dated).not.toHaveProperty("startedAt");
});

test("a terminal run never changes again", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  await database.runs.recordWorkflowStarted(id);
  const done = await endRun(database, id, succeeded);
  await database.runs.recordRunning(id, 99, "2098-01-01T00:00:00Z");
  expect(await endRun(database, id, { status: "Failed", statusReason: "late" })).toEqual(done);
  expect(await database.runs.requestCancel(id)).toEqual(done);
  expect(await database.runsIn("docker").admit(id, 10)).toBe(false);
  expect(await database.runs.find(id)).toEqual(done);
});

test("finishing or loading an unknown run fails: it was not found", async () => {
  const { database } = await openFresh();
  await expect(database.runs.finish({ id: 12 }, succeeded)).rejects.toMatchObject({ code: "NotFound" });
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
    endRun(database, id, { ...succeeded, status: place % 2 ? "Failed" : "Canceled", statusReason: `${place}` }),
  );
  expect(new Set(answers.map((run) => JSON.stringify(run))).size).toBe(1);
  expect(await database.runs.counts({})).toEqual({ [answers[0]?.status ?? ""]: 1 });
});

test("tags can be set on an ended run and do not change its end; an unknown run has none", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  const ended = await endRun(database, id, succeeded);
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
  expect(await endRun(database, id, { status: "Canceled" })).toMatchObject({ status: "Canceled" });
  expect(await database.runs.counts({})).toEqual({ Canceled: 1 });
});

test("the eTag changes with the fields that clients see, and with nothing else", async () => {
  const { database } = await openFresh();
  const id = await createdId(database);
  const eTagNow = async (): Promise<string> => (await database.runs.find(id))?.eTag ?? "";
  const seen = [await eTagNow()];
  await database.runs.recordWorkflowStarted(id);
  await database.runsIn("docker").admit(id, 1);
  expect(await eTagNow()).toBe(seen.at(-1));
  await database.runs.recordRunning(id, 1, undefined);
  seen.push(await eTagNow());
  await database.runs.recordRunning(id, 2, undefined);
  expect(await eTagNow()).toBe(seen.at(-1));
  await database.runs.recordRunning(id, 3, "2098-01-01T00:00:00Z");
  seen.push(await eTagNow());
  await endRun(database, id, succeeded);
  seen.push(await eTagNow());
  await database.runs.recordArchived((await database.runs.find(id)) ?? { id });
  expect(await eTagNow()).toBe(seen.at(-1));
  expect(new Set(seen).size).toBe(seen.length);
  const listed = await database.runs.list({ limit: 1 });
  expect(listed.items[0]?.eTag).toBe(seen.at(-1));
});

test("how many replicas run is shown only of a running run with several, and changes its eTag", async () => {
  const { database } = await openFresh();
  const { runs } = database;
  const [several, single] = [await createdRun(database, { replicaCount: 3 }), await createdRun(database)];
  const countOf = async ({ id }: { id: number }) => (await runs.find(id))?.runningCount;
  await runs.recordRunningCount(several, 3);
  expect(await countOf(several)).toBeUndefined();
  for (const run of [several, single]) {
    await runs.recordRunning(run.id, 1, undefined);
    await runs.recordRunningCount(run, 3);
  }
  expect([await countOf(several), await countOf(single)]).toEqual([3, undefined]);
  const before = await runs.load(several);
  await runs.recordRunningCount({ ...several, uid: "another" }, 1);
  await runs.recordRunningCount(several, 3);
  expect(await runs.load(several)).toEqual(before);
  await runs.recordRunningCount(several, 2);
  const after = await runs.load(several);
  expect([after.runningCount, after.eTag === before.eTag, after.revision > before.revision]).toEqual([2, false, true]);
  await runs.requestCancel(several.id);
  expect(await countOf(several)).toBeUndefined();
  await runs.finish(several, succeeded);
  await runs.recordRunningCount(several, 1);
  expect(await countOf(several)).toBeUndefined();
});

test("the reconciler's lists have the runs left to repair, and are empty once they are repaired", async () => {
  const { database } = await openFresh();
  const [first, second] = [await createdRun(database), await createdRun(database)];
  expect(await database.runsIn("docker").unstarted()).toEqual([first, second]);
  await database.runs.recordWorkflowStarted(first.id);
  const { workflowStartedAt } = (await database.runs.find(first.id)) as RunRecord;
  await database.runs.recordWorkflowStarted(first.id);
  expect(await database.runs.find(first.id)).toMatchObject({ workflowStartedAt });
  expect(await database.runsIn("docker").unstarted()).toEqual([second]);

  await database.runs.recordRunning(second.id, 1, undefined);
  expect(await database.runsIn("docker").open()).toEqual([
    { ...first, isRunning: false, replicaCount: 1 },
    { ...second, isRunning: true, replicaCount: 1 },
  ]);
  await database.runs.recordArchived(first);
  expect(await database.runs.find(first.id)).not.toHaveProperty("archivedAt");
  await database.runs.finish(first, succeeded);
  expect(await database.runsIn("docker").unarchived()).toEqual([{ ...first, endedBy: "workflow" }]);
  expect(await database.runsIn("docker").states([second.id, first.id, 404])).toEqual(
    expect.arrayContaining([
      { ...first, phase: "Ended" },
      { ...second, phase: "Open" },
    ]),
  );
  await database.runs.recordArchived(first);
  expect(await database.runsIn("docker").unarchived()).toEqual([]);
  expect(await database.runs.find(first.id)).toMatchObject({ archivedAt: expect.stringMatching(SHOWN) });
  expect(await database.runsIn("docker").states([first.id])).toEqual([{ ...first, phase: "Archived" }]);
  expect(await database.runsIn("docker").states([])).toEqual([]);
  expect(await database.runsIn("docker").open()).toHaveLength(1);
  expect(await database.runs.countOpen()).toBe(1);
});

test("runs whose cancel was requested, or whose deadline has passed, are listed with the time since then until they end", async () => {
  const { database } = await openFresh();
  const [canceled, late] = [await createdRun(database), await createdRun(database, { timeoutSeconds: 1 })];
  await createdRun(database);
  await database.runs.requestCancel(canceled.id);
  const listed = await eventually(async () => {
    const overdue = await database.runsIn("docker").overdue();
    return overdue.length === 2 ? overdue : undefined;
  });
  expect(listed).toEqual([
    { ...canceled, sinceCancelMs: expect.any(Number) },
    { ...late, sinceDeadlineMs: expect.any(Number) },
  ]);
  for (const { sinceCancelMs = 0, sinceDeadlineMs = 0 } of listed) {
    expect(sinceCancelMs + sinceDeadlineMs).toBeGreaterThan(0);
  }
  for (const run of listed) await database.runs.finish(run, succeeded);
  expect(await database.runsIn("docker").overdue()).toEqual([]);
});

test("the reason for which an open run waits is shown until it ends, and no reason changes an ended run", async () => {
  const { database } = await openFresh();
  const run = await createdRun(database);
  const before = await database.runs.find(run.id);
  await database.runs.recordReason({ ...run, uid: "another" }, "The engine is away");
  expect(await database.runs.find(run.id)).toEqual(before);
  await database.runs.recordReason(run, "The engine is away");
  const waiting = await database.runs.find(run.id);
  expect(waiting).toMatchObject({ status: "Pending", statusReason: "The engine is away", revision: 1 });
  expect(waiting?.eTag).not.toBe(before?.eTag);
  // Once is enough: each change is sent to everyone who watches the run.
  await database.runs.recordReason(run, "The engine is away");
  expect(await database.runs.find(run.id)).toEqual(waiting);
  const ended = await database.runs.finish(run, succeeded);
  expect(ended).not.toHaveProperty("statusReason");
  await database.runs.recordReason(run, "The engine is away");
  expect(await database.runs.find(run.id)).toEqual(ended);
});

test("an end from outside is marked, and one that loses against the workflow's is not", async () => {
  const { database } = await openFresh();
  const [outside, inside] = [await createdRun(database), await createdRun(database)];
  expect(await database.runs.finish(outside, succeeded, "outside")).not.toHaveProperty("endedOutsideAt");
  const first = await database.runs.finish(inside, succeeded, "workflow");
  expect(await database.runs.finish(inside, { status: "Failed" }, "outside")).toEqual(first);
  expect(await database.runsIn("docker").unarchived()).toEqual([
    { ...outside, endedBy: "outside" },
    { ...inside, endedBy: "workflow" },
  ]);
});

test("nothing of a run is written to another one that has its number", async () => {
  const { database } = await openFresh();
  const run = await createdRun(database);
  const lost = { id: run.id, uid: "lost" };
  await expect(database.runs.finish(lost, succeeded, "outside")).rejects.toMatchObject({ code: "NotFound" });
  await expect(database.runs.finish({ id: run.id }, succeeded)).rejects.toMatchObject({ code: "NotFound" });
  const ended = await database.runs.finish(run, succeeded);
  await expect(database.runs.finish(lost, succeeded)).rejects.toMatchObject({ code: "NotFound" });
  await database.runs.recordArchived(lost);
  expect(await database.runs.find(run.id)).toEqual(ended);
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
