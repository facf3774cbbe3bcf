import { expect, test } from "vitest";
import { GONE_AFTER_MS, inspectSurely } from "../../../docker/launch/gone.ts";
import type { ContainerInfo } from "../../../docker/engine/engine.ts";
import { CodedError } from "../../../model/errors.ts";

const THERE = { Id: "c1" } as ContainerInfo;
const DOWN = new CodedError("Unavailable", "The engine is down");

/** An engine with these answers, and the pauses between them. */
function engineWith(...answers: (ContainerInfo | undefined | Error)[]) {
  const pauses: number[] = [];
  const inspect = async (): Promise<ContainerInfo | undefined> => {
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const pause = async (ms: number): Promise<void> => void pauses.push(ms);
  return { pauses, found: () => inspectSurely({ inspect }, "c1", pause) };
}

test("a container that is found needs no second look", async () => {
  const { found, pauses } = engineWith(THERE);
  expect(await found()).toBe(THERE);
  expect(pauses).toEqual([]);
});

test("a container is gone when it is not found twice, 10 s apart", async () => {
  const { found, pauses } = engineWith(undefined, undefined);
  expect(await found()).toBeUndefined();
  expect(pauses).toEqual([GONE_AFTER_MS]);
});

test("a container that is found at the second look is there", async () => {
  expect(await engineWith(undefined, THERE).found()).toBe(THERE);
});

test.each([
  ["first", [DOWN]],
  ["second", [undefined, DOWN]],
] as const)("an engine that is down at the %s look says nothing", async (_name, answers) => {
  await expect(engineWith(...answers).found()).rejects.toBe(DOWN);
});
