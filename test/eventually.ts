import { setTimeout as sleep } from "node:timers/promises";

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
