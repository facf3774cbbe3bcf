import { createServer } from "node:net";

/**
 * Ports are taken below the range from which the kernel gives outgoing connections theirs: a client that keeps trying
 * to reach a server that is away would otherwise, sooner or later, take the server's port by connecting to itself.
 */
const LOWEST = 20_000;
const HIGHEST = 31_999;

/** Whether `port` of `host` can be listened on. */
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
 * The port to use: `wanted` where the configuration names one, else `previous` while it is free, else any free one.
 * @throws Error that names a wanted port which somebody else has taken.
 */
export async function choosePort(
  what: string,
  { wanted, previous, host }: { wanted: number; previous: number | undefined; host: string },
): Promise<number> {
  if (wanted > 0) {
    if (await isFree(wanted, host)) return wanted;
    throw new Error(
      `Port ${wanted} on ${host}, wanted for ${what}, is taken by another program; in 'temporal-dev.yaml' 0 means any that is free`,
    );
  }
  if (previous && (await isFree(previous, host))) return previous;
  for (let tries = 0; tries < 200; tries++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (await isFree(port, host)) return port;
  }
  throw new Error(`No free port was found on ${host} between ${LOWEST} and ${HIGHEST} for ${what}`);
}
