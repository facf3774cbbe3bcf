import { expect, test } from "vitest";
import type { ReplicaState } from "../../../model/run/lifecycle.ts";
import { firstStartOf, waitingOf } from "../../../model/run/waiting.ts";

const created = (message?: string): ReplicaState => ({
  container: { phase: "Created", ...(message === undefined ? {} : { message }) },
});
const unknown: ReplicaState = { container: { phase: "Unknown" } };
const running: ReplicaState = { container: { phase: "Running", startedAt: "2026-01-01T00:00:02Z" } };

test.each<[string, ReplicaState[], object | undefined]>([
  ["nothing was created", [unknown], undefined],
  ["it waits as usual", [created()], {}],
  ["it waits for a reason", [created("Unschedulable: no node")], { reason: "Unschedulable: no node" }],
  ["it runs", [running], undefined],
  ["it has ended", [{ container: { phase: "Exited", exitCode: 0 } }], undefined],
  ["it is gone", [{ container: { phase: "Gone", message: "lost" } }], undefined],
  [
    "one of several has a reason",
    [created(), created("no node"), created("no image")],
    { reason: "replica 1: no node" },
  ],
  ["one of several is not known yet", [created(), unknown], {}],
  ["one of several runs", [created("no node"), running], undefined],
])("waiting to begin: %s", (_name, replicas, expected) => {
  expect(waitingOf(replicas)).toEqual(expected);
});

test("a run starts with the first of its containers", () => {
  const earlier: ReplicaState = { container: { phase: "Exited", startedAt: "2026-01-01T00:00:01.5Z" } };
  expect(firstStartOf([created(), running, earlier])).toBe("2026-01-01T00:00:01.5Z");
  expect(firstStartOf([created()])).toBeUndefined();
});
