import { createServer, type Server } from "node:net";
import { errnoOf } from "../model/errors.ts";

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

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
