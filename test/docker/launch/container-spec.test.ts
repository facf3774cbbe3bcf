import { describe, expect, test } from "vitest";
import { createOptionsOf, type ContainerPlace } from "../../../docker/launch/container-spec.ts";
import { containerStateOf, isContainerOf } from "../../../docker/launch/container-state.ts";
import type { ContainerInfo, CreateOptions } from "../../../docker/engine/engine.ts";
import type { JobCodespec } from "../../../model/codespec/codespec.ts";
import { containerNameOf, replicaInLabels } from "../../../model/run/names.ts";
import { runOf } from "../rig.ts";

const PLACE: ContainerPlace = { installationId: "inst", replica: 0, attempt: "word", folder: "/data/runs/7/word" };
const optionsOf = (codespec: Partial<JobCodespec>, place = PLACE): CreateOptions =>
  createOptionsOf({ ...runOf({ kind: "job", image: "img", ...codespec }), id: 7, uid: "abc" }, place);

test("a plain job gets labels, a bounded log and an empty folder, and neither prefix label nor limits", () => {
  expect(optionsOf({})).toEqual({
    Image: "img",
    Env: [],
    Tty: false,
    Labels: {
      "tyger-installation": "inst",
      "tyger-run": "7",
      "tyger-run-uid": "abc",
      "tyger-replica": "0",
      "tyger-job-replica-count": "1",
      "tyger-attempt": "word",
    },
    HostConfig: {
      Mounts: [{ Type: "bind", Source: "/data/runs/7/word/pipes", Target: "/run/secrets/7/pipes" }],
      ShmSize: 67108864,
      RestartPolicy: { Name: "no" },
      AutoRemove: false,
      CapDrop: ["NET_RAW", "MKNOD", "AUDIT_WRITE", "SETFCAP"],
      LogConfig: { Type: "json-file", Config: { "max-size": "256m", "max-file": "5" } },
    },
  });
});

test("a replica has its index and their number as labels, and a host name and a container name with its index", () => {
  const run = { ...runOf({ kind: "job", image: "img" }), id: 7, replicaCount: 3 };
  const { Labels, Hostname } = createOptionsOf(run, { ...PLACE, replica: 2 });
  expect(Labels).toMatchObject({ "tyger-replica": "2", "tyger-job-replica-count": "3" });
  expect(Hostname).toBe("run-7-job-2");
  const names = [0, 1, 2].map((replica) => containerNameOf("inst", 7, replica));
  expect(names).toEqual(["tyger-inst-run-7-main", "tyger-inst-run-7-main-1", "tyger-inst-run-7-main-2"]);
});

test.each([
  [{}, { index: 0, count: 1 }],
  [undefined, { index: 0, count: 1 }],
  [
    { "tyger-replica": "2", "tyger-job-replica-count": "3" },
    { index: 2, count: 3 },
  ],
  [{ "tyger-replica": "3", "tyger-job-replica-count": "3" }, undefined],
  [{ "tyger-replica": "-1", "tyger-job-replica-count": "3" }, undefined],
  [{ "tyger-replica": "a" }, undefined],
  [{ "tyger-job-replica-count": "0" }, undefined],
])("labels %j name the replica %j", (labels, replica) => {
  expect(replicaInLabels(labels)).toEqual(replica);
});

test("a container is that of one replica of one run of one installation", () => {
  const run = { ...runOf({ kind: "job", image: "img" }), id: 7, uid: "abc", replicaCount: 3 };
  const { Labels = {} } = createOptionsOf(run, { ...PLACE, replica: 2 });
  const info = { Config: { Labels } } as unknown as ContainerInfo;
  const answers = [
    isContainerOf(info, "inst", run, 2),
    isContainerOf(info, "inst", run, 1),
    isContainerOf(info, "inst", { ...run, uid: "abd" }, 2),
    isContainerOf(info, "other", run, 2),
  ];
  expect(answers).toEqual([true, false, false, false]);
});

test("a job with buffers knows its pipes and is labeled for the log prefix", () => {
  const { Env, Labels, Cmd } = optionsOf({
    buffers: { inputs: ["my-in"], outputs: ["out"] },
    args: ["$(MY-IN_PIPE)", "$$(OUT_PIPE)", "$(cat x)"],
  });
  expect(Env).toEqual(["MY-IN_PIPE=/run/secrets/7/pipes/my-in.pipe", "OUT_PIPE=/run/secrets/7/pipes/out.pipe"]);
  expect(Labels?.["tyger-run-container-name"]).toBe("main");
  expect(Cmd).toEqual(["/run/secrets/7/pipes/my-in.pipe", "$(OUT_PIPE)", "$(cat x)"]);
});

test.each([
  ["a command takes the place of entrypoint and command", { command: ["a"] }, { Entrypoint: ["a"], Cmd: [] }],
  ["command and arguments take both places", { command: ["a"], args: ["b"] }, { Entrypoint: ["a"], Cmd: ["b"] }],
  ["arguments alone leave the entrypoint", { args: ["b"] }, { Cmd: ["b"] }],
  ["nothing leaves both", {}, {}],
])("%s", (_, codespec, expected) => {
  const { Entrypoint, Cmd } = optionsOf(codespec);
  expect({ ...(Entrypoint && { Entrypoint }), ...(Cmd && { Cmd }) }).toEqual(expected);
});

test("shared memory is what was asked for", () => {
  expect(optionsOf({ resources: { shm: "1Gi" } }).HostConfig?.ShmSize).toBe(2 ** 30);
  expect(optionsOf({ resources: { shm: "1500M" } }).HostConfig?.ShmSize).toBe(1.5e9);
});

test("all GPUs are given when one is asked for, and none otherwise", () => {
  const place = { ...PLACE, runtimeWithoutGpu: "runc" };
  const withGpu = optionsOf({ resources: { gpu: "1" } }, place).HostConfig;
  expect(withGpu?.DeviceRequests).toEqual([{ Driver: "", Count: -1, Capabilities: [["gpu"]] }]);
  expect(withGpu?.Runtime).toBeUndefined();
  const without = optionsOf({ resources: { gpu: "0" } }, place).HostConfig;
  expect(without?.DeviceRequests).toBeUndefined();
  expect(without?.Runtime).toBe("runc");
});

test("a parameter that would leave the folder of pipes is refused", () => {
  expect(() => optionsOf({ buffers: { inputs: ["../x"] } })).toThrow(/'\.\.\/x'/);
});

describe("the state of a container", () => {
  const NEVER = "0001-01-01T00:00:00Z";
  const START = "2026-01-01T10:00:00.1Z";
  const infoOf = (state: Partial<ContainerInfo["State"]>): ContainerInfo => {
    const whole = { StartedAt: START, FinishedAt: NEVER, Running: false, ExitCode: 0, OOMKilled: false, Error: "" };
    return { State: { ...whole, ...state } } as ContainerInfo;
  };
  const started = { startedAt: "2026-01-01T10:00:00.100000000Z" };
  const ended = { phase: "Exited", ...started, finishedAt: "2026-01-01T10:00:00.120000000Z" };
  const END = "2026-01-01T10:00:00.12Z";

  test.each<[string, ContainerInfo | undefined, object]>([
    ["none is gone", undefined, { phase: "Gone" }],
    ["never started", infoOf({ StartedAt: NEVER }), { phase: "Created" }],
    ["running", infoOf({ Running: true }), { phase: "Running", ...started }],
    ["exited", infoOf({ FinishedAt: END, ExitCode: 2 }), { ...ended, exitCode: 2 }],
    [
      "killed for its memory",
      infoOf({ FinishedAt: END, ExitCode: 137, OOMKilled: true }),
      { ...ended, exitCode: 137, message: "The container ran out of memory (OOMKilled)", cutOff: true },
    ],
    [
      "killed otherwise",
      infoOf({ FinishedAt: END, ExitCode: 137 }),
      { ...ended, exitCode: 137, message: "Killed (SIGKILL): by a user, or because memory ran out" },
    ],
    [
      "ended before it started, by a clock that leapt",
      infoOf({ FinishedAt: "2026-01-01T09:00:00Z" }),
      { ...ended, finishedAt: started.startedAt, exitCode: 0 },
    ],
  ])("%s", (_, info, expected) => {
    expect(containerStateOf(info)).toEqual(expected);
  });
});
