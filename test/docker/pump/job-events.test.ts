import { describe, expect, test } from "vitest";
import type { ContainerEvent } from "../../../docker/engine/events.ts";
import { JobEvents } from "../../../docker/pump/job-events.ts";

const event = (action: ContainerEvent["action"], more: Partial<ContainerEvent> = {}): ContainerEvent => ({
  action,
  containerId: "a",
  run: { id: 1 },
  replica: 0,
  ...more,
});
const start = event("start");
const die = (exitCode?: number): ContainerEvent => event("die", exitCode === undefined ? {} : { exitCode });
const ITSELF = { command: "jobEnded", cutOff: false };
const CUT_OFF = { command: "jobEnded", cutOff: true };

describe("of the end of a job its events alone tell", () => {
  test.each<[string, ContainerEvent[], object | undefined]>([
    ["that it ended by itself, with 0", [start, die(0)], ITSELF],
    ["that it was cut off, by its exit code", [start, die(137)], CUT_OFF],
    ["the same without its start", [die(143)], CUT_OFF],
    ["nothing: only an inspection knows whether memory ran out", [start, die(3)], undefined],
    ["nothing, when it was started before: memory may have run out unseen", [die(0)], undefined],
    ["nothing, when memory ran out", [start, event("oom"), die(0)], undefined],
    ["nothing, when the engine gives no exit code", [start, die()], undefined],
    [
      "that it ended by itself, after memory ran out in another",
      [start, event("oom", { containerId: "b" }), die(0)],
      ITSELF,
    ],
    ["that it ended by itself, after a signal", [start, event("kill", { signal: "15" }), die(0)], ITSELF],
    ["nothing of one that is gone", [start, event("destroy"), die(0)], undefined],
  ])("%s", (_name, taken, expected) => {
    const events = new JobEvents();
    expect(taken.map((one) => events.take(one)).at(-1)).toEqual(expected);
  });

  test("no other event is a command", () => {
    const events = new JobEvents();
    const others = [start, event("kill", { signal: "9" }), event("oom"), event("destroy")];
    expect(others.map((one) => events.take(one))).toEqual([undefined, undefined, undefined, undefined]);
  });
});

test.each<[string | undefined, boolean]>([
  ["9", true],
  ["SIGKILL", true],
  ["KILL", true],
  ["15", false],
  ["19", false],
  [undefined, false],
])("a job that gets signal %s is about to die: %s", (signal, expected) => {
  const events = new JobEvents();
  events.take(start);
  events.take(event("kill", signal === undefined ? {} : { signal }));
  expect(events.isKilled("a")).toBe(expected);
  expect(events.isKilled("b")).toBe(false);
  events.take(event("destroy"));
  expect(events.isKilled("a")).toBe(false);
});
