import { expect, test } from "vitest";
import { RunSightings } from "../../activities/run-sightings.ts";
import type { ReplicaState } from "../../model/run/lifecycle.ts";

const RUN = { id: 7, uid: "a" };
const running: ReplicaState = { container: { phase: "Running" } };
const exited = (exitCode: number): ReplicaState => ({ container: { phase: "Exited", exitCode } });
const gone: ReplicaState = { container: { phase: "Gone" } };
const storing: ReplicaState = { ...exited(0), pump: { phase: "Running" } };

test("a run with one replica gets a message with each report of its end, and nothing is counted", () => {
  const sightings = new RunSightings();
  const see = (state: ReplicaState) => sightings.see(RUN, { index: 0, count: 1, state }, 0);
  expect(see(running)).toEqual({});
  for (let round = 0; round < 2; round++) expect(see(exited(0))).toEqual({ changes: [[0, exited(0)]] });
  expect(see(storing)).toEqual({ storing: [[0, storing]] });
});

test("of a thousand replicas that succeed, one message is made, with all of them by index", () => {
  const sightings = new RunSightings();
  const count = 1000;
  const messages = [];
  for (let index = count - 1; index >= 0; index--) {
    messages.push(sightings.see(RUN, { index, count, state: running }, 0));
  }
  for (let index = 0; index < count; index++) messages.push(sightings.see(RUN, { index, count, state: exited(0) }, 1));
  const told = messages.flatMap(({ changes }) => (changes ? [changes] : []));
  expect(told).toEqual([Array.from({ length: count }, (_, index) => [index, exited(0)])]);
  expect(messages.map(({ runningCount }) => runningCount)).toEqual([
    ...Array.from({ length: count }, (_, index) => index + 1),
    ...Array.from({ length: count }, (_, index) => count - 1 - index),
  ]);
});

test("of a thousand replicas that fail at once, two messages are made: the first failure, and that all have ended", () => {
  const sightings = new RunSightings();
  const count = 1000;
  const told = Array.from({ length: count }, (_, index) =>
    sightings.see(RUN, { index, count, state: exited(3) }, index),
  ).flatMap(({ changes }) => (changes ? [changes.length] : []));
  expect(told).toEqual([1, count]);
});

test("a failure that its workflow did not act on is sent again after 30 s, with those since", () => {
  const sightings = new RunSightings();
  const see = (index: number, state: ReplicaState, nowMs: number) =>
    sightings.see(RUN, { index, count: 3, state }, nowMs).changes;
  expect(see(0, running, 0)).toBeUndefined();
  expect(see(2, exited(3), 0)).toEqual([[2, exited(3)]]);
  expect(see(1, gone, 29_999)).toBeUndefined();
  expect(see(1, gone, 30_000)).toEqual([
    [2, exited(3)],
    [1, gone],
  ]);
});

test("outputs are being stored once all jobs have ended", () => {
  const sightings = new RunSightings();
  const see = (index: number, state: ReplicaState) => sightings.see(RUN, { index, count: 2, state }, 0).storing;
  expect(see(0, storing)).toBeUndefined();
  expect(see(1, running)).toBeUndefined();
  expect(see(1, exited(0))).toEqual([
    [0, storing],
    [1, exited(0)],
  ]);
});

test("a replica that is gone before the number of replicas is known fails its run all the same", () => {
  const sightings = new RunSightings();
  expect(sightings.see(RUN, { index: 1, count: 2, state: gone }, 0).changes).toEqual([[1, gone]]);
});

test("runs of the same number are not mixed up", () => {
  const sightings = new RunSightings();
  sightings.see({ id: 7, uid: "a" }, { index: 0, count: 2, state: exited(0) }, 0);
  expect(sightings.see({ id: 7, uid: "b" }, { index: 1, count: 2, state: exited(0) }, 0).changes).toBeUndefined();
});
