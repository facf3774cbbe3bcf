import { poll } from "../../waiting/bounded.ts";
import { tryLock } from "../../waiting/kernel-lock.ts";
import type { Report } from "./progress.ts";

/** Shorter waits are not reported. */
const UNSAID_MS = 1000;

/**
 * Waits for a lock that other commands hold while they work; `what` tells the user which work.
 * @throws Error if the lock is not released within `withinMs`.
 */
export async function lock(name: string, withinMs: number, what: string, report: Report): Promise<AsyncDisposable> {
  const look = () => tryLock(name);
  const unsaidMs = Math.min(UNSAID_MS, withinMs);
  const atOnce = await poll(look, { everyMs: 100, withinMs: unsaidMs });
  if (atOnce) return atOnce;
  if (withinMs > UNSAID_MS) report(`waiting for another 'tyger up' or 'tyger down' ${what}`);
  const held = await poll(look, { everyMs: 100, withinMs: withinMs - unsaidMs });
  if (held) return held;
  throw new Error(`Another 'tyger up' or 'tyger down' ${what} is still running`);
}
