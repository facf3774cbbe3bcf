import { describe, expect, test } from "vitest";
import type { ContainerState, PumpState, ReplicaState } from "../../../model/run/lifecycle.ts";
import {
  areDecisive,
  areSettled,
  countRunning,
  decidingState,
  firstFailed,
  replicaCountOf,
  unseen,
  withChanges,
  type ReplicaStates,
} from "../../../model/run/replicas.ts";

const AT = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, "0")}.000Z`;
const running = (startedAt = AT(1)): ContainerState => ({ phase: "Running", startedAt });
const exited = (exitCode: number, second: number, startedAt = AT(1)): ContainerState => ({
  phase: "Exited",
  startedAt,
  finishedAt: AT(second),
  exitCode,
});
const of = (container: ContainerState, pump?: PumpState): ReplicaState => (pump ? { container, pump } : { container });
const gone: ReplicaState = { container: { phase: "Gone" } };
const dead: PumpState = { phase: "Dead" };
const moving: PumpState = { phase: "Running" };

describe("when a run with replicas is decided", () => {
  const cases: [string, ReplicaStates, { decided: boolean; settled: boolean; failed?: number }][] = [
    ["nothing is known", unseen(2), { decided: false, settled: false }],
    ["one of two exited with 0", [of(exited(0, 3)), of(running())], { decided: false, settled: false }],
    ["both exited with 0", [of(exited(0, 3)), of(exited(0, 4))], { decided: true, settled: true }],
    ["one of two failed", [of(running()), of(exited(3, 4))], { decided: true, settled: false, failed: 1 }],
    ["the earlier of two failures", [of(exited(4, 9)), of(exited(3, 4))], { decided: true, settled: true, failed: 1 }],
    [
      "a pump that died beside a running job, before an exit",
      [of(exited(3, 2)), of(running(), dead)],
      { decided: true, settled: false, failed: 1 },
    ],
    ["exited, and its pump still stores", [of(exited(0, 3), moving)], { decided: false, settled: false }],
    ["exited with 3, and its pump still stores", [of(exited(3, 3), moving)], { decided: false, settled: false }],
    ["a container that is gone", [gone, of(running())], { decided: true, settled: false, failed: 0 }],
  ];
  test.each(cases)("%s", (_name, states, { decided, settled, failed }) => {
    expect([areDecisive(states), areSettled(states), firstFailed(states)]).toEqual([decided, settled, failed]);
  });
});

describe("the state by which a run is judged", () => {
  const cases: [string, ReplicaStates, number | undefined, object][] = [
    ["its only replica", [of(exited(0, 5))], undefined, exited(0, 5)],
    [
      "successes: from the first start to the last end",
      [of(exited(0, 5, AT(2))), of(exited(0, 7, AT(3))), of(exited(0, 6, AT(1)))],
      undefined,
      exited(0, 7, AT(1)),
    ],
    ["the one that failed, not those stopped after it", [of(exited(137, 9)), of(exited(3, 8))], 1, exited(3, 8)],
    ["an exit of its own before the cancel", [of(exited(137, 25)), of(exited(3, 8))], undefined, exited(3, 8)],
    ["all were stopped after the cancel", [of(exited(137, 25)), of(exited(143, 24))], undefined, exited(137, 25)],
    ["one ended in time, another was stopped", [of(exited(0, 5)), of(exited(137, 25))], undefined, exited(137, 25)],
    ["one still runs", [of(exited(0, 5, AT(2))), of(running(AT(1)))], undefined, running(AT(1))],
    ["none was started", [gone, gone], undefined, gone.container],
    [
      "one succeeded and another was never started",
      [of(exited(0, 5)), gone],
      undefined,
      { ...gone.container, startedAt: AT(1) },
    ],
    [
      "one succeeded and another is gone after its start",
      [gone, of(exited(0, 5))],
      0,
      { ...gone.container, startedAt: AT(1) },
    ],
  ];
  test.each(cases)("%s", (_name, states, failed, container) => {
    expect(decidingState(states, failed, AT(20)).state.container).toEqual(container);
  });
});

test("states only move forward, and an index that the run does not have changes nothing", () => {
  const seen = withChanges(unseen(2), [
    [1, of(exited(0, 3))],
    [7, of(running())],
  ]);
  expect(withChanges(seen, [[1, of(running())]])).toEqual([{ container: { phase: "Unknown" } }, of(exited(0, 3))]);
  expect(countRunning(withChanges(seen, [[0, of(running())]]))).toBe(1);
});

test("the replica by which a run is judged is named", () => {
  const states = [of(exited(0, 5)), of(exited(3, 8)), of(exited(137, 9))];
  expect(decidingState(states, 1, AT(20)).index).toBe(1);
  expect(decidingState(states, undefined, AT(20)).index).toBe(1);
});

test("a run that asks for no replica has one", () => {
  expect([undefined, 0, 1, 3].map((asked) => replicaCountOf(asked))).toEqual([1, 1, 1, 3]);
});
