import { createServer } from "node:net";

/**
 * Below the kernel's range for outgoing connections: otherwise a client that keeps trying to reach a stopped server would
 * sooner or later take the server's port by connecting to itself.
 */
const LOWEST = 20_000;
const HIGHEST = 31_999;

/** Tries to listen, the only reliable test. */
export async function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer();
  const bound = new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => resolve(true));
  });
  const free = await bound;
  if (free) await new Promise((resolve) => server.close(resolve));
  return free;
}

/**
 * Prefers the configured port `wanted`, then `previous`, because an address that stays the same can be bookmarked.
 * @throws Error if another program uses the configured port.
 */
export async function choosePort(
  what: string,
  { wanted, previous, host }: { wanted: number; previous: number | undefined; host: string },
): Promise<number> {
  if (wanted > 0) {
    if (await isFree(wanted, host)) return wanted;
    throw new Error(
      `Port ${wanted} on ${host}, configured for ${what}, is in use; set it to 0 in 'temporal-dev.yaml' to use any free port`,
    );
  }
  if (previous && (await isFree(previous, host))) return previous;
  for (let tries = 0; tries < 200; tries++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (await isFree(port, host)) return port;
  }
  throw new Error(`Found no free port for ${what} on ${host} between ${LOWEST} and ${HIGHEST}`);
}
