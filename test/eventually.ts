import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";

/**
 * Waits until `condition` gives something truthy, and returns it.
 * @throws Error with the last failure when `withinMs` is over.
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  { withinMs = 10_000, everyMs = 25 }: { withinMs?: number; everyMs?: number } = {},
): Promise<NonNullable<T>> {
  const endMs = Date.now() + withinMs;
  let last: unknown = "it stayed falsy";
  while (Date.now() < endMs) {
    try {
      const value = await condition();
      if (value) return value;
      last = `it gave ${JSON.stringify(value)}`;
    } catch (err) {
      last = err;
    }
    await sleep(everyMs);
  }
  throw new Error(`Not within ${withinMs} ms: ${String(last)}`);
}

/**
 * Looks again and again, and throws as soon as `condition` does not hold. For things that must not happen: unlike
 * those that must, they give no event to wait for.
 */
export async function stays(
  condition: () => boolean | Promise<boolean>,
  { looks = 20, everyMs = 10 }: { looks?: number; everyMs?: number } = {},
): Promise<void> {
  for (let look = 1; look <= looks; look++) {
    if (!(await condition())) throw new Error(`It no longer held at look ${look} of ${looks}`);
    await sleep(everyMs);
  }
}

/** Waits until `value` gives the same result many times in a row, and returns it. */
export async function atRest<T>(
  value: () => T | Promise<T>,
  { looks = 20, everyMs = 10, withinMs = 30_000 }: { looks?: number; everyMs?: number; withinMs?: number } = {},
): Promise<T> {
  let last = await value();
  let same = 0;
  await eventually(
    async () => {
      const next = await value();
      same = next === last ? same + 1 : 0;
      last = next;
      return same >= looks;
    },
    { withinMs, everyMs },
  );
  return last;
}

/** Lets the event loop of this process turn `count` times. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn();
}
