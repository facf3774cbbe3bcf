import { describe, expect, test } from "vitest";
import {
  isSettled,
  isStoring,
  later,
  needsStop,
  outcomeOf,
  type ContainerState,
  type Ending,
  type PumpState,
  type ReplicaState,
} from "../../../model/run/lifecycle.ts";

const AT = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, "0")}.000Z`;
const running: ContainerState = { phase: "Running", startedAt: AT(1) };
const exited = (exitCode: number, second: number): ContainerState => ({
  phase: "Exited",
  startedAt: AT(1),
  finishedAt: AT(second),
  exitCode,
});
const done: PumpState = { phase: "Succeeded" };
/** Also of a pump whose job was cut off. */
const STOPPED: PumpState = { phase: "Failed", message: "The run was stopped", cutOff: true };
const cutOff: PumpState = { phase: "Failed", message: "The run was stopped", cutOff: true };

describe("the outcome of a run", () => {
  const base = { deadlineAt: AT(30), nowAt: AT(20) };
  const cases: [string, Omit<Ending, "deadlineAt" | "nowAt"> & Partial<Ending>, object][] = [
    ["exit 0", { replica: { container: exited(0, 5) } }, { status: "Succeeded", startedAt: AT(1), finishedAt: AT(5) }],
    ["exit 0 and the pump done", { replica: { container: exited(0, 5), pump: done } }, { status: "Succeeded" }],
    [
      "exit 3",
      { replica: { container: exited(3, 5), pump: done } },
      { status: "Failed", statusReason: "Main exited with code 3" },
    ],
    [
      "an out-of-memory kill is named",
      { replica: { container: { ...exited(137, 5), message: "out of memory" } } },
      { status: "Failed", statusReason: "Main exited with code 137: out of memory" },
    ],
    [
      "exit 0 but the pump died: half an input must not look like a success",
      { replica: { container: exited(0, 5), pump: { phase: "Dead" } } },
      { status: "Failed", statusReason: "The process that streams the buffers died before it finished" },
    ],
    [
      "the pump failed with a reason",
      { replica: { container: exited(137, 5), pump: { phase: "Failed", message: "hash chain mismatch" } } },
      { status: "Failed", statusReason: "hash chain mismatch" },
    ],
    [
      "a killed job ends in its own words, not those of the pump that followed it",
      { replica: { container: { ...exited(137, 5), message: "Killed (SIGKILL)" }, pump: cutOff } },
      { status: "Failed", statusReason: "Main exited with code 137: Killed (SIGKILL)" },
    ],
    [
      "a pump that failed first, and whose job was then stopped by us, keeps its message",
      { replica: { container: exited(137, 5), pump: { phase: "Failed", message: "No space left on device" } } },
      { status: "Failed", statusReason: "No space left on device" },
    ],
    [
      "exit 0 with outputs that were given up is never a success",
      { replica: { container: exited(0, 5), pump: cutOff } },
      { status: "Failed", statusReason: "The run was stopped" },
    ],
    [
      "a pump that was stopped beside a job of which no end was seen",
      { replica: { container: running, pump: cutOff } },
      { status: "Failed", statusReason: "The run was stopped" },
    ],
    [
      "an exit that predates the cancel wins",
      { replica: { container: exited(0, 5) }, cancelRequestedAt: AT(6) },
      { status: "Succeeded", finishedAt: AT(5) },
    ],
    ...[0, 3].map((code): [string, Omit<Ending, "deadlineAt" | "nowAt">, object] => [
      `an exit with ${code} of a job that ran out of memory before the cancel wins, and its pump only followed it`,
      {
        replica: { container: { ...exited(code, 5), message: "out of memory", cutOff: true }, pump: cutOff },
        cancelRequestedAt: AT(6),
      },
      { status: "Failed", statusReason: code === 0 ? "out of memory" : "Main exited with code 3: out of memory" },
    ]),
    [
      "an exit after the cancel is a cancel",
      { replica: { container: exited(0, 7) }, cancelRequestedAt: AT(6) },
      { status: "Canceled", statusReason: "Canceled by user", startedAt: AT(1), finishedAt: AT(20) },
    ],
    [
      "an exit before the cancel whose outputs were still being stored is a cancel",
      { replica: { container: exited(0, 5), pump: STOPPED }, cancelRequestedAt: AT(6) },
      { status: "Canceled", statusReason: "Canceled by user", finishedAt: AT(20) },
    ],
    [
      "a failed exit before the cancel whose outputs were still being stored is a cancel, too",
      { replica: { container: exited(3, 5), pump: STOPPED }, cancelRequestedAt: AT(6) },
      { status: "Canceled", statusReason: "Canceled by user" },
    ],
    [
      "an exit before the deadline whose outputs were still being stored is a timeout",
      { replica: { container: exited(0, 5), pump: STOPPED }, nowAt: AT(31), timedOut: true },
      { status: "Failed", statusReason: "The run did not end within its timeout", finishedAt: AT(31) },
    ],
    [
      "an exit before the cancel whose outputs were stored wins",
      { replica: { container: exited(0, 5), pump: done }, cancelRequestedAt: AT(6) },
      { status: "Succeeded", finishedAt: AT(5) },
    ],
    [
      "an exit before the cancel whose pump failed by itself wins",
      {
        replica: { container: exited(0, 5), pump: { phase: "Failed", message: "hash chain mismatch" } },
        cancelRequestedAt: AT(6),
      },
      { status: "Failed", statusReason: "hash chain mismatch" },
    ],
    [
      "a job that was killed before the deadline, and whose pump followed, keeps its own reason",
      {
        replica: { container: { ...exited(137, 5), message: "Killed" }, pump: STOPPED },
        nowAt: AT(31),
        timedOut: true,
      },
      { status: "Failed", statusReason: "Main exited with code 137: Killed" },
    ],
    [
      "a cancel before anything started",
      { replica: { container: { phase: "Unknown" } }, cancelRequestedAt: AT(6) },
      { status: "Canceled", finishedAt: AT(20) },
    ],
    [
      "the deadline passed while the job ran",
      { replica: { container: exited(137, 31) }, nowAt: AT(31), timedOut: true },
      { status: "Failed", statusReason: expect.stringContaining("timeout") },
    ],
    [
      "the deadline passed while pending",
      { replica: { container: { phase: "Unknown" } }, nowAt: AT(31), timedOut: true },
      { status: "Canceled", statusReason: expect.stringContaining("timeout") },
    ],
    [
      "the deadline passed while pending, for a reason",
      { replica: { container: { phase: "Gone", message: "deleted" } }, nowAt: AT(31), waiting: "no node" },
      { status: "Canceled", statusReason: "The timeout passed while the run was pending: no node" },
    ],
    [
      "an exit that predates the deadline wins",
      { replica: { container: exited(0, 29) }, nowAt: AT(31), timedOut: true },
      { status: "Succeeded" },
    ],
    [
      "a cancel after the deadline is a timeout",
      { replica: { container: exited(137, 32) }, cancelRequestedAt: AT(31), nowAt: AT(33) },
      { status: "Failed", statusReason: expect.stringContaining("timeout") },
    ],
    [
      "a launch that failed for good",
      { replica: { container: { phase: "Gone" } }, failure: "no such program" },
      { status: "Failed", statusReason: "no such program" },
    ],
    [
      "a container that vanished",
      { replica: { container: { phase: "Gone", startedAt: AT(1) } } },
      { status: "Failed", statusReason: "The container disappeared; its exit code is unknown" },
    ],
    [
      "a container that vanished beside its pump, which was then stopped",
      {
        replica: {
          container: { phase: "Gone", startedAt: AT(1) },
          pump: { phase: "Failed", message: "The run was stopped" },
        },
      },
      { status: "Failed", statusReason: "The container disappeared; its exit code is unknown" },
    ],
  ];
  test.each(cases)("%s", (_name, ending, expected) => {
    expect(outcomeOf({ ...base, ...ending })).toMatchObject(expected);
  });
});

test.each([
  [{ container: exited(3, 5) }, "Main exited with code 3 (replica 2)"],
  [
    { container: { ...exited(137, 5), message: "out of memory" } },
    "Main exited with code 137 (replica 2): out of memory",
  ],
  [{ container: exited(0, 5), pump: { phase: "Failed", message: "torn" } }, "torn (replica 2)"],
  [{ container: { phase: "Gone" } }, "The container disappeared; its exit code is unknown (replica 2)"],
] as const)("the reason names the one of several replicas that failed: %j", (replica, statusReason) => {
  expect(outcomeOf({ replica, index: 2, deadlineAt: AT(30), nowAt: AT(10) })).toMatchObject({ statusReason });
});

describe("observations of a replica", () => {
  test("never goes back, each half by itself", () => {
    const over = later({ container: running, pump: { phase: "Running" } }, { container: exited(0, 5) });
    expect(over).toEqual({ container: exited(0, 5), pump: { phase: "Running" } });
    expect(later(over, { container: running, pump: done })).toEqual({ container: exited(0, 5), pump: done });
    expect(
      later({ container: exited(0, 5), pump: done }, { container: { phase: "Gone" }, pump: { phase: "Dead" } }),
    ).toEqual({ container: exited(0, 5), pump: done });
  });

  test("of a container that waits is the newest", () => {
    const waits = (message?: string): ReplicaState => ({
      container: { phase: "Created", ...(message === undefined ? {} : { message }) },
    });
    expect(later(waits("no node"), waits("no image"))).toEqual(waits("no image"));
    expect(later(waits("no node"), waits())).toEqual(waits());
    expect(later({ container: running }, waits("no node"))).toEqual({ container: running });
  });

  test("keeps the start of a container that is gone", () => {
    expect(later({ container: running }, { container: { phase: "Gone" } }).container.startedAt).toBe(AT(1));
  });

  test("is settled only when container and pump both are", () => {
    expect(isSettled({ container: exited(0, 5) })).toBe(true);
    expect(isSettled({ container: exited(0, 5), pump: { phase: "Running" } })).toBe(false);
    expect(isSettled({ container: running, pump: done })).toBe(false);
    expect(isSettled({ container: exited(0, 5), pump: { phase: "Dead" } })).toBe(true);
  });

  test("is storing its outputs only after the job's own end", () => {
    expect(isStoring({ container: exited(0, 5), pump: { phase: "Running" } })).toBe(true);
    expect(isStoring({ container: running, pump: { phase: "Running" } })).toBe(false);
    expect(isStoring({ container: { phase: "Gone" }, pump: { phase: "Running" } })).toBe(false);
    expect(isStoring({ container: exited(0, 5), pump: done })).toBe(false);
    expect(isStoring({ container: exited(0, 5) })).toBe(false);
  });

  test("calls for a stop when the pump is lost under a running job", () => {
    expect(needsStop({ container: running, pump: { phase: "Dead" } })).toBe(true);
    expect(needsStop({ container: running, pump: { phase: "Failed" } })).toBe(true);
    expect(needsStop({ container: running, pump: done })).toBe(false);
    expect(needsStop({ container: exited(0, 5), pump: { phase: "Dead" } })).toBe(false);
  });
});
