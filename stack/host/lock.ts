import { createServer, type Server } from "node:net";
import { errnoOf } from "../../model/errors.ts";
import { poll } from "../../waiting/bounded.ts";
import type { Report } from "./progress.ts";

/**
 * Takes a lock that the kernel releases when the holder dies, however it dies: the name of an abstract socket.
 * @returns undefined if another process holds the lock.
 * @see unix(7)
 */
export function tryLock(name: string): Promise<AsyncDisposable | undefined> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", (err) => (errnoOf(err) === "EADDRINUSE" ? resolve(undefined) : reject(err)));
    server.listen(`\0tyger-${name}`, () => resolve({ [Symbol.asyncDispose]: () => close(server) }));
    // The lock alone must not keep the process alive.
    server.unref();
  });
}

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

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
