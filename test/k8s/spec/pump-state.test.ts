import { describe, expect, test } from "vitest";
import { PATIENCE } from "../../../k8s/spec/cluster-settings.ts";
import { sightOf, wasCutOff } from "../../../k8s/spec/pod-state.ts";
import { isPumpRunning, judgePump } from "../../../k8s/spec/pump-state.ts";
import type { ContainerStatus, Pod } from "../../../k8s/spec/wire.ts";
import type { PumpSight } from "../../../model/ports/pump-channel.ts";
import type { PumpState } from "../../../model/run/lifecycle.ts";
import { condition, containerStatus, IMAGE, podOf, SCHEDULED_AT, STARTED_AT } from "./pods.ts";

type State = NonNullable<ContainerStatus["state"]>;

const SYSTEM_MS = Date.parse(SCHEDULED_AT) + PATIENCE.systemImageMs;
const look = { nowMs: Date.parse(SCHEDULED_AT) + 10_000, patience: PATIENCE };
const running: State = { running: { startedAt: STARTED_AT } };
const waiting: State = { waiting: { reason: "ContainerCreating" } };
const ended = (exitCode: number, more: object = {}): State => ({
  terminated: { exitCode, reason: exitCode === 0 ? "Completed" : "Error", startedAt: STARTED_AT, ...more },
});
const left = (exitCode: number, result: object): State => ended(exitCode, { message: JSON.stringify(result) });

function podWith(
  main: State,
  pump: State | undefined,
  status: Pod["status"] = {},
  metadata: Pod["metadata"] = {},
): Pod {
  const pod = podOf(
    {
      phase: "Running",
      containerStatuses: [...(pump ? [containerStatus("pump", pump)] : []), containerStatus("main", main)],
      ...status,
    },
    metadata,
  );
  return { ...pod, spec: { ...pod.spec, containers: [{ name: "pump" }, { name: "main", image: IMAGE }] } };
}
const pumpOf = (...given: Parameters<typeof podWith>): PumpState | undefined => sightOf(podWith(...given), look).pump;

describe("the pump of a pod", () => {
  test.each<[string, Parameters<typeof podWith>, PumpState]>([
    ["before it has begun", [waiting, waiting], { phase: "Running" }],
    ["before the node has said anything", [waiting, undefined], { phase: "Running" }],
    ["beside a running job", [running, running], { phase: "Running" }],
    ["that still stores outputs", [ended(0), running], { phase: "Running" }],
    ["that has left a success", [ended(0), left(0, { status: "Succeeded" })], { phase: "Succeeded" }],
    [
      "that has left a failure",
      [running, left(1, { status: "Failed", message: "The input 'in' failed: no" })],
      { phase: "Failed", message: "Sidecar exited with code 1: The input 'in' failed: no" },
    ],
    [
      "that gave up the outputs of a job that was cut off",
      [ended(137), left(1, { status: "Failed", message: "cut off", cutOff: true })],
      { phase: "Failed", message: "Sidecar exited with code 1: cut off", cutOff: true },
    ],
    [
      "whose exit contradicts its success",
      [ended(0), left(137, { status: "Succeeded" })],
      { phase: "Dead", message: "Sidecar exited with code 137: it left no result" },
    ],
    ["that died", [running, ended(137)], { phase: "Dead", message: "Sidecar exited with code 137: it left no result" }],
    [
      "that ran out of memory",
      [running, ended(137, { reason: "OOMKilled" })],
      { phase: "Dead", message: "Sidecar exited with code 137: OOMKilled" },
    ],
    [
      "that could not be started",
      [running, ended(128, { reason: "StartError", message: "no node" })],
      { phase: "Dead", message: "Sidecar exited with code 128: StartError: no node" },
    ],
    [
      "that ended without a result",
      [ended(0), ended(0)],
      { phase: "Dead", message: "Sidecar exited with code 0: it left no result" },
    ],
    [
      "whose result was cut",
      [ended(0), ended(0, { message: '{"status":"Succ' })],
      { phase: "Dead", message: 'Sidecar exited with code 0: {"status":"Succ' },
    ],
    [
      "whose end the node never learned",
      [ended(0), left(137, { status: "Succeeded" }), { phase: "Failed" }],
      { phase: "Dead", message: "Sidecar exited with code 137: it left no result" },
    ],
    ["of an evicted pod", [running, running, { phase: "Failed", reason: "Evicted" }], { phase: "Dead" }],
    ["of a job that will never run", [waiting, running, { phase: "Failed" }], { phase: "Dead" }],
  ])("%s", (_name, given, expected) => {
    expect(pumpOf(...given)).toEqual(expected);
  });

  test("whose end the node invents says nothing", () => {
    const invented = ended(137, { reason: "ContainerStatusUnknown", message: '{"status":"Succeeded"}' });
    expect(pumpOf(ended(0), invented)).toEqual({ phase: "Running" });
    expect(pumpOf(ended(0), invented, { phase: "Failed" })).toEqual({ phase: "Dead" });
  });

  test("on a lost node is dead", () => {
    const deletion = { deletionTimestamp: SCHEDULED_AT, deletionGracePeriodSeconds: 2 };
    const pod = podWith(running, running, {}, deletion);
    const nowMs = Date.parse(SCHEDULED_AT) + PATIENCE.lostMs;
    expect(sightOf(pod, { ...look, nowMs })).toMatchObject({ container: { phase: "Gone" }, pump: { phase: "Dead" } });
  });

  test("is not in a pod without one", () => {
    expect(sightOf(podOf({ phase: "Running" }), look).pump).toBeUndefined();
  });

  test("can be spoken to while it runs", () => {
    expect([waiting, running, ended(0)].map((pump) => isPumpRunning(podWith(running, pump)))).toEqual([
      false,
      true,
      false,
    ]);
  });

  describe("whose image cannot be pulled", () => {
    const trouble: State = { waiting: { reason: "ErrImagePull", message: "no route" } };
    const message = `The image '${IMAGE}' cannot be pulled: ErrImagePull: no route`;
    const initialized = { conditions: [condition("Initialized", "True")] };

    test.each<[string, State]>([
      ["runs", running],
      ["has ended", ended(0)],
    ])("beside a job that %s has half an hour", (_name, main) => {
      const pod = podWith(main, trouble, initialized);
      const before = sightOf(pod, { ...look, nowMs: SYSTEM_MS - 1 });
      expect(before).toMatchObject({ pump: { phase: "Running" }, changesAtMs: SYSTEM_MS });
      const after = sightOf(pod, { ...look, nowMs: SYSTEM_MS });
      expect(after.pump).toEqual({ phase: "Dead", message });
      expect(after.container).toEqual(before.container);
    });

    test("ends a job that has not begun", () => {
      const { container, pump } = sightOf(podWith(waiting, trouble, initialized), { ...look, nowMs: SYSTEM_MS });
      expect({ container, pump }).toEqual({ container: { phase: "Gone", message }, pump: { phase: "Dead" } });
    });
  });
});

const SUCCESS: PumpState = { phase: "Succeeded" };
const FAILURE: PumpState = { phase: "Failed", message: "no" };
const DEAD: PumpState = { phase: "Dead", message: "code 137" };

test.each<[string, PumpState, PumpSight, PumpState]>([
  ["the result in the pod", SUCCESS, FAILURE, SUCCESS],
  ["a failure that a running pump has shown", { phase: "Running" }, FAILURE, said("no")],
  ["a success of which the pod knows nothing yet", { phase: "Running" }, SUCCESS, SUCCESS],
  ["the result of a pump whose pod has none", DEAD, SUCCESS, SUCCESS],
  ["the failure of a pump that then died", DEAD, FAILURE, said("no")],
  ["the death of a pump of which nothing is heard", DEAD, { phase: "Unknown" }, DEAD],
  ["the death of a pump that was heard a moment ago", DEAD, { phase: "Running" }, DEAD],
  ["silence, which is not an end", { phase: "Running" }, { phase: "Unknown" }, { phase: "Running" }],
])("what counts is %s", (_name, inPod, sight, expected) => {
  expect(judgePump(inPod, sight)).toEqual(expected);
});

function said(message: string): PumpState {
  return { phase: "Failed", message: `Sidecar exited with code 1: ${message}` };
}

describe("the outputs of a job", () => {
  const deleted = { deletionTimestamp: "2026-01-01T10:00:08Z", deletionGracePeriodSeconds: 2 };
  const at = (finishedAt: string, exitCode = 0): State => ended(exitCode, { finishedAt });

  test.each<[string, State, Pod["metadata"], Pod["status"], boolean]>([
    ["that ended by itself", at("2026-01-01T10:00:05Z"), {}, {}, false],
    ["that failed by itself", at("2026-01-01T10:00:05Z", 3), {}, {}, false],
    ["that was killed", at("2026-01-01T10:00:05Z", 137), {}, {}, true],
    ["with the last code of a signal", at("2026-01-01T10:00:05Z", 159), {}, {}, true],
    ["with a code that is not of a signal", at("2026-01-01T10:00:05Z", 160), {}, {}, false],
    ["that ran out of memory", ended(1, { reason: "OOMKilled" }), {}, {}, true],
    ["that was evicted", at("2026-01-01T10:00:05Z", 1), {}, { phase: "Failed", reason: "Evicted" }, true],
    ["that answered a deletion with a success", at("2026-01-01T10:00:07Z"), deleted, {}, true],
    ["that had ended before its pod was deleted", at("2026-01-01T10:00:05Z"), deleted, {}, false],
  ])("%s", (_name, main, metadata, status, expected) => {
    const pod = podWith(main, running, status, metadata);
    expect(wasCutOff(pod, sightOf(pod, look).container)).toBe(expected);
  });
});
