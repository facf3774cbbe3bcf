import { createServer, type Server } from "node:net";
import { errnoOf } from "../../model/errors.ts";
import { poll } from "../../waiting/bounded.ts";
import type { Report } from "./progress.ts";

/**
 * Takes a lock that the kernel gives back when its holder dies, however it dies: an abstract socket's name.
 * @returns the lock, or undefined when somebody else has it.
 * @see unix(7)
 */
export function tryLock(name: string): Promise<AsyncDisposable | undefined> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", (err) => (errnoOf(err) === "EADDRINUSE" ? resolve(undefined) : reject(err)));
    server.listen(`\0tyger-${name}`, () => resolve({ [Symbol.asyncDispose]: () => close(server) }));
    // The lock alone keeps no process alive.
    server.unref();
  });
}

/** A wait this long is not worth a word. */
const UNSAID_MS = 1000;

/**
 * Waits for a lock that others hold only while they work; `what` they do is named to the user.
 * @throws Error when it is not had within `withinMs`.
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
