import { describe, expect, test } from "vitest";
import { printedInstant } from "../../../cli/print/printed.ts";
import { shownBuffer, shownRun, shownRunSystem } from "../../../cli/print/resources.ts";

test("a run is printed in the order of its table, without empty and unknown fields", () => {
  const run = {
    bufferAccessTtl: "01:00:00",
    eTag: "12",
    tags: { b: "2", a: "1" },
    timeoutSeconds: 43_200,
    job: {
      replicas: 1,
      tags: {},
      buffers: { output: "o", input: "i" },
      codespec: {
        args: [],
        command: ["sh"],
        image: "x",
        sockets: [{ outputBuffer: "out", port: 1 }],
        kind: "job",
        buffers: { inputs: ["input"], outputs: [] },
        resources: { limits: {}, gpu: "1" },
      },
    },
    createdAt: "2024-01-25T18:20:49.951260+00:00",
    runningCount: 0,
    statusReason: "",
    status: "Running",
    id: 7,
    surprise: 1,
  };
  expect(JSON.stringify(shownRun(run))).toBe(
    JSON.stringify({
      id: 7,
      status: "Running",
      runningCount: 0,
      createdAt: "2024-01-25T18:20:49.95126Z",
      job: {
        codespec: {
          kind: "job",
          buffers: { inputs: ["input"] },
          sockets: [{ port: 1, outputBuffer: "out" }],
          image: "x",
          command: ["sh"],
          resources: { gpu: "1" },
        },
        buffers: { input: "i", output: "o" },
        replicas: 1,
      },
      timeoutSeconds: 43_200,
      tags: { a: "1", b: "2" },
      eTag: "12",
      bufferAccessTtl: "01:00:00",
    }),
  );
  expect(Object.keys(shownRunSystem(run) as object)).toEqual(["id", "status", "runningCount", "createdAt"]);
});

test("a codespec may be a reference", () => {
  expect(shownRun({ id: 1, job: { codespec: "c/versions/2" } })).toEqual({ id: 1, job: { codespec: "c/versions/2" } });
});

test("a buffer is printed in the order of its table, without its soft deletion", () => {
  const buffer = {
    eTag: "1",
    tags: {},
    isSoftDeleted: true,
    location: "local",
    createdAt: "2024-01-25T18:20:49+00:00",
    id: "b",
  };
  expect(JSON.stringify(shownBuffer(buffer))).toBe(
    '{"id":"b","createdAt":"2024-01-25T18:20:49Z","location":"local","eTag":"1"}',
  );
});

describe("instants keep all their digits except trailing zeros", () => {
  test.each([
    ["2024-01-25T18:20:49+00:00", "2024-01-25T18:20:49Z"],
    ["2024-01-25T18:20:49.951262+00:00", "2024-01-25T18:20:49.951262Z"],
    ["2024-01-25T18:20:49.123456789Z", "2024-01-25T18:20:49.123456789Z"],
    ["2024-01-25T18:20:49.100000000Z", "2024-01-25T18:20:49.1Z"],
    ["2024-01-25T18:20:49.000Z", "2024-01-25T18:20:49Z"],
    ["2024-01-25T18:20:49.010+00:00", "2024-01-25T18:20:49.01Z"],
    ["not a time", "not a time"],
  ])("%s", (text, shown) => {
    expect(printedInstant(text)).toBe(shown);
  });
});
