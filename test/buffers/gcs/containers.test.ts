import { expect, test } from "vitest";
import { createContainers } from "../../../buffers/gcs/containers.ts";

/** Questions that are answered one by one, whenever a test wants. */
function asked() {
  const answers: ((isThere: boolean) => void)[] = [];
  const containers = createContainers(() => new Promise((resolve) => answers.push(resolve)));
  return { containers, answers };
}

test("requests at the same time are one question, and its answer is kept when the buffer is there", async () => {
  const { containers, answers } = asked();
  const both = Promise.all([containers.has("a"), containers.ask("a")]);
  answers[0]?.(true);
  expect([await both, await containers.has("a"), answers.length]).toEqual([[true, true], true, 1]);
});

test("a missing buffer is asked for each time", async () => {
  const { containers, answers } = asked();
  const first = containers.has("a");
  answers[0]?.(false);
  expect(await first).toBe(false);
  const second = containers.has("a");
  answers[1]?.(true);
  expect(await second).toBe(true);
});

test.for([
  ["made", false, true],
  ["purged", true, false],
] as const)(
  "a question from before the buffer was %s does not answer one from after it",
  async ([how, before, after]) => {
    const { containers, answers } = asked();
    const early = containers.ask("a");
    if (how === "made") containers.remember("a");
    else containers.forget("a");
    const late = containers.ask("a");
    answers[0]?.(before);
    answers[1]?.(after);
    expect([await early, await late]).toEqual([before, after]);
  },
);

test("an answer from before a purge is not kept", async () => {
  const { containers, answers } = asked();
  const early = containers.has("a");
  containers.forget("a");
  answers[0]?.(true);
  await early;
  const late = containers.has("a");
  answers[1]?.(false);
  expect(await late).toBe(false);
});
