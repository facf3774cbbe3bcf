import { beforeEach, expect, test } from "vitest";
import { LateStarts, type Postponed, type StartNews } from "../../activities/late-starts.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";

const RUN = { id: 7, uid: "a" };
const AT = "2026-01-01T00:00:01Z";
const created = (message?: string): ReplicaState => ({
  container: { phase: "Created", ...(message === undefined ? {} : { message }) },
});
const running: ReplicaState = { container: { phase: "Running", startedAt: AT } };
const exited: ReplicaState = { container: { phase: "Exited", exitCode: 0, startedAt: AT } };
/** Long after the start of the watcher. */
const LATER = 60_000;

let starts: LateStarts;
beforeEach(() => {
  starts = new LateStarts(0);
});
const see = (state: ReplicaState, nowMs = LATER, index = 0, count = 1): StartNews | Postponed | undefined =>
  starts.see(RUN, { index, count, state }, nowMs);

test("the start of a run that begins at once is reported, once", () => {
  expect(see(created())).toBeUndefined();
  expect(see(running)).toEqual({ changes: [[0, running]], startedAt: AT });
  for (let round = 0; round < 2; round++) expect(see(running)).toBeUndefined();
  expect(see(exited)).toBeUndefined();
});

test("a run that is first seen at its end has no news", () => {
  for (let round = 0; round < 2; round++) expect(see(exited)).toBeUndefined();
});

test("the reason for which a run waits is reported, and again when it changes, but not all the time", () => {
  expect(see(created("no node"), LATER)).toEqual({ changes: [[0, created("no node")]], reason: "no node" });
  expect(see(created("no node"), LATER + 60_000)).toBeUndefined();
  expect(see(created("no image"), LATER + 60_001)).toMatchObject({ reason: "no image" });
  expect(see(created("no memory"), LATER + 60_002)).toEqual({ inMs: 9999 });
  expect(see(created("no disk"), LATER + 60_003)).toBeUndefined();
  expect(starts.look(RUN, LATER + 70_001)).toEqual({ changes: [[0, created("no disk")]], reason: "no disk" });
  expect(starts.look(RUN, LATER + 70_002)).toBeUndefined();
  expect(see(created(), LATER + 70_003)).toEqual({ inMs: 9998 });
  expect(see(running, LATER + 70_004)).toMatchObject({ startedAt: AT });
  expect(starts.look(RUN, LATER + 80_001)).toBeUndefined();
});

test("the first reason is reported at once, also after a report that there is none", () => {
  expect(see(created(), 1)).toEqual({ changes: [[0, created()]] });
  expect(see(created("no node"), 2)).toMatchObject({ reason: "no node" });
});

test("a watcher that has just begun replaces the reason that the one before it reported", () => {
  expect(see(created(), 1)).toEqual({ changes: [[0, created()]] });
  expect(see(created(), 2)).toBeUndefined();
});

test("of several replicas, the first that begins starts the run", () => {
  expect(see(created("no node"), LATER, 1, 3)).toEqual({
    changes: [[1, created("no node")]],
    reason: "replica 1: no node",
  });
  expect(see(running, LATER, 0, 3)).toEqual({
    changes: [
      [0, running],
      [1, created("no node")],
    ],
    startedAt: AT,
  });
  expect(see(running, LATER, 2, 3)).toBeUndefined();
});

test("a run that is not seen any more is forgotten", () => {
  see(running);
  starts.see({ id: 8, uid: "b" }, { index: 0, count: 1, state: running }, LATER + 400_000);
  expect(see(running, LATER + 400_001)).toMatchObject({ startedAt: AT });
});
