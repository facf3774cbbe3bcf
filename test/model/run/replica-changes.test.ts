import { describe, expect, test } from "vitest";
import type { ReplicaState } from "../../../model/run/lifecycle.ts";
import { parseOutcome } from "../../../model/run/parse.ts";
import { changesOf, parseChanges } from "../../../model/run/replica-changes.ts";

const EXITED: ReplicaState = {
  container: {
    phase: "Exited",
    startedAt: "2026-01-01T00:00:00.000000001Z",
    finishedAt: "2026-01-01T00:00:01Z",
    exitCode: 3,
  },
  pump: { phase: "Failed", message: "hash chain mismatch" },
};
const RUNNING: ReplicaState = { container: { phase: "Running" } };

describe("a message about replicas", () => {
  test.each([
    ["of a run with a uid", changesOf("abc", [[0, EXITED]])],
    ["of a run without one", changesOf(undefined, [[0, RUNNING]])],
    [
      "of several replicas",
      changesOf("abc", [
        [7, RUNNING],
        [2, EXITED],
      ]),
    ],
    ["of one whose job was cut off", changesOf("abc", [[0, { ...EXITED, pump: { phase: "Failed", cutOff: true } }]])],
    [
      "of a job that the engine cut off",
      changesOf("abc", [[0, { container: { phase: "Exited", exitCode: 0, cutOff: true } }]]),
    ],
    ["of none", changesOf("abc", [])],
    ["with search attributes", changesOf("abc", [[0, RUNNING]], { tagUntil: "2026-01-01T00:00:10.000Z" })],
  ])("is read as it was sent: %s", (_name, sent) => {
    const { version: _version, ...rest } = sent;
    expect(parseChanges(JSON.parse(JSON.stringify(sent)))).toEqual({ ...rest, unknown: 0 });
  });

  test("of 1,000 replicas is a tenth of what Temporal accepts", () => {
    const message = changesOf(
      "abcdefghijklmnop",
      Array.from({ length: 1000 }, (_, index) => [index, EXITED]),
    );
    expect(JSON.stringify(message).length).toBeLessThan(2_000_000 / 10);
    expect(parseChanges(message)?.replicas.length).toBe(1000);
  });

  test.each([
    ["nothing", undefined],
    ["null", null],
    ["a number", 7],
    ["a text", "exited"],
    ["a list", [[0, EXITED]]],
    ["bytes", new Uint8Array([1, 2])],
    ["no version", { replicas: [[0, EXITED]] }],
    ["a later version", { version: 2, replicas: [[0, EXITED]] }],
    ["a version that is a text", { version: "1", replicas: [[0, EXITED]] }],
    ["no replicas", { version: 1 }],
    ["replicas by name", { version: 1, replicas: { 0: EXITED } }],
    ["a uid that is a number", { version: 1, uid: 7, replicas: [[0, EXITED]] }],
  ])("with %s is unknown", (_name, message) => {
    expect(parseChanges(message)).toBeUndefined();
  });

  test.each([
    ["null", null],
    ["a state without an index", [EXITED]],
    ["a text as index", ["0", EXITED]],
    ["a negative index", [-1, EXITED]],
    ["a broken index", [0.5, EXITED]],
    ["no state", [0]],
    ["no container", [0, {}]],
    ["a container that is a text", [0, { container: "Exited" }]],
    ["no phase", [0, { container: {} }]],
    ["an unknown phase", [0, { container: { phase: "Paused" } }]],
    ["a phase that every object has", [0, { container: { phase: "toString" } }]],
    ["an exit code that is a text", [0, { container: { phase: "Exited", exitCode: "0" } }]],
    ["a broken exit code", [0, { container: { phase: "Exited", exitCode: 0.5 } }]],
    ["an instant that is none", [0, { container: { phase: "Exited", finishedAt: "yesterday" } }]],
    ["an instant that is a number", [0, { container: { phase: "Running", startedAt: 1_700_000_000 } }]],
    ["a message that is an object", [0, { container: { phase: "Exited", message: {} } }]],
    ["a pump that is a text", [0, { container: { phase: "Exited" }, pump: "Succeeded" }]],
    ["a flag that is a text", [0, { container: { phase: "Exited" }, pump: { phase: "Failed", cutOff: "no" } }]],
    ["an unknown phase of the pump", [0, { container: { phase: "Exited" }, pump: { phase: "Flushing" } }]],
  ])("leaves out an entry with %s and keeps the others", (_name, entry) => {
    const sent = { version: 1, uid: "abc", replicas: [entry, [1, RUNNING]] };
    expect(parseChanges(sent)).toEqual({ uid: "abc", replicas: [[1, RUNNING]], unknown: 1 });
  });

  test("keeps nothing of fields that we do not know, and takes null for absent", () => {
    const container = { phase: "Running", startedAt: null, node: "a" };
    const sent = { version: 1, uid: null, of: "x", replicas: [[0, { container, pump: null, zone: 1 }]] };
    expect(parseChanges(sent)).toEqual({ replicas: [[0, RUNNING]], unknown: 0 });
  });
});

describe("a recorded outcome", () => {
  test("is read as it was recorded", () => {
    const outcome = { status: "Failed", statusReason: "no", finishedAt: "2026-01-01T00:00:01+00:00" };
    expect(parseOutcome({ ...outcome, isArchived: true })).toEqual(outcome);
  });

  test.each([
    ["nothing", undefined],
    ["a text", "Succeeded"],
    ["no status", {}],
    ["an open status", { status: "Running" }],
    ["an unknown status", { status: "Evicted" }],
    ["a reason that is a number", { status: "Failed", statusReason: 3 }],
  ])("with %s is unknown", (_name, value) => {
    expect(parseOutcome(value)).toBeUndefined();
  });
});
