import { describe, expect, test } from "vitest";
import { parseCommand, parseFarewell, parseOrders, parsePoll } from "../../../model/run/pump-messages.ts";

const poll = { instance: "abc-_1", heard: 0, sequence: 3, report: { phase: "Running" } };

describe("a poll", () => {
  test.each([
    ["as it is sent", poll, poll],
    [
      "with fields of a newer version, which are left out",
      { ...poll, more: 1, report: { phase: "Failed", message: "m", cutOff: true, pipeEnds: 2, more: 1 } },
      { ...poll, report: { phase: "Failed", message: "m", cutOff: true, pipeEnds: 2 } },
    ],
    [
      "with text that no database keeps",
      { ...poll, report: { phase: "Failed", message: "a\0b\ud800" } },
      expect.objectContaining({ report: { phase: "Failed", message: "ab\ufffd" } }),
    ],
    ["with a phase that we do not know", { ...poll, report: { phase: "Fine" } }, undefined],
    ["with a success, which only a result can be", { ...poll, report: { phase: "Succeeded" } }, undefined],
    ["of a pump that says it is dead", { ...poll, report: { phase: "Dead" } }, undefined],
    ["with a message that is not text", { ...poll, report: { phase: "Failed", message: 5 } }, undefined],
    ["with a flag that is not one", { ...poll, report: { phase: "Failed", cutOff: "no" } }, undefined],
    ["with a number that no column holds", { ...poll, sequence: 2 ** 31 }, undefined],
    ["with a negative number", { ...poll, heard: -1 }, undefined],
    ["without an instance", { ...poll, instance: undefined }, undefined],
    ["with an instance that is too long", { ...poll, instance: "x".repeat(65) }, undefined],
    ["that is a list", [poll], undefined],
    ["that is nothing", undefined, undefined],
  ])("%s", (_name, value, parsed) => {
    expect(parsePoll(value)).toEqual(parsed);
  });

  test("a long message is cut", () => {
    const message = "x".repeat(100_000);
    expect(parsePoll({ ...poll, report: { phase: "Failed", message } })?.report.message).toHaveLength(4096);
  });
});

describe("a farewell", () => {
  test.each([
    ["of a success", { status: "Succeeded" }, { status: "Succeeded" }],
    [
      "of a failure",
      { status: "Failed", message: "m", cutOff: true },
      { status: "Failed", message: "m", cutOff: true },
    ],
    ["without a status", { message: "m" }, undefined],
    ["with the phase of a report", { phase: "Succeeded" }, undefined],
    ["of a pump that runs", { status: "Running" }, undefined],
    ["of a pump that is dead", { status: "Dead" }, undefined],
    ["that is nothing", null, undefined],
  ])("%s", (_name, result, parsed) => {
    expect(parseFarewell({ instance: "a", result })).toEqual(parsed && { instance: "a", result: parsed });
  });
});

test("commands that we do not know keep their places", () => {
  const commands = [{ command: "stop" }, { command: "dance" }, 7, { command: "jobEnded" }];
  const parsed = [{ command: "stop" }, undefined, undefined, { command: "jobEnded" }];
  expect(parseOrders({ commands, more: 1 })).toEqual({ commands: parsed });
  expect(parseOrders({ commands: "stop" })).toBeUndefined();
  expect(parseCommand(undefined)).toBeUndefined();
});
