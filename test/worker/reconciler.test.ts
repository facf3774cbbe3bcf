import { expect, test } from "vitest";
import { reconcileForever } from "../../worker/reconciler.ts";

test("passes begin while the lease is held; the first after it was taken is a whole one, and then each third", async () => {
  const stopping = new AbortController();
  const held = [false, true, true, true, true, true, false, false, true, true];
  const passes: string[] = [];
  await reconcileForever(
    { pass: ({ isWhole }) => void passes.push(isWhole ? "whole" : "short") },
    { everyMs: 1, wholeEvery: 3 },
    {
      isHeld() {
        const isHeld = held[passes.length] === true;
        if (!isHeld) passes.push("none");
        // This pass is the last.
        if (passes.length + (isHeld ? 1 : 0) === held.length) stopping.abort();
        return isHeld;
      },
    },
    stopping.signal,
  );
  expect(passes).toEqual(["none", "whole", "short", "short", "whole", "short", "none", "none", "whole", "short"]);
});
