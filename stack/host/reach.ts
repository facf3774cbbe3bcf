import { once } from "node:events";
import { connect } from "node:net";
import { errnoWordsOf } from "../../model/errno.ts";
import { errnoOf, messageOf } from "../../model/errors.ts";

const WITHIN_MS = 5000;

/** @throws Error that names the server, the variable it is configured in, and why it cannot be reached */
export async function mustReach(server: string, variable: string, host: string, port: number): Promise<void> {
  const socket = connect({ host, port });
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(WITHIN_MS) });
  } catch (err) {
    const isLate = errnoOf(err) === "ABORT_ERR";
    const reason = isLate
      ? `no answer within ${WITHIN_MS / 1000} s`
      : (errnoWordsOf(err, "connecting") ?? messageOf(err));
    throw new Error(
      `The ${server} of ${variable} at '${host}:${port}' cannot be reached: ${reason}; start it, or correct ${variable}`,
      { cause: err },
    );
  } finally {
    socket.destroy();
  }
}

/**
 * Takes host and port from the `postgres://` URL of a variable.
 * @throws Error that quotes no part of the URL, because the password can be anywhere in an invalid one
 */
export function postgresAddressOf(url: string, variable: string): { host: string; port: number } {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !/^postgres(ql)?:$/.test(parsed.protocol) || !isDecodable(parsed)) {
    throw new Error(
      `${variable} must be a URL such as postgres://user:password@host:5432/database; percent-encode special characters in the password (%, /, @ → %25, %2F, %40)`,
    );
  }
  const host = decodeURIComponent(parsed.hostname).replace(/^\[|\]$/g, "");
  if (host === "" || host.includes("/")) {
    throw new Error(`${variable} must name a host; Postgres on a Unix socket is not supported`);
  }
  return { host, port: Number(parsed.port || 5432) };
}

function isDecodable({ username, password, hostname, pathname }: URL): boolean {
  try {
    for (const part of [username, password, hostname, pathname]) decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

/** @throws Error with the address */
export function parseTemporalAddress(address: string): { host: string; port: number } {
  const [, host, port] = /^\[?([^\]/]+?)\]?:(\d{1,5})$/.exec(address) ?? [];
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new Error(`TEMPORAL_ADDRESS '${address}' must be host:port, such as 127.0.0.1:7233`);
  }
  return { host, port: Number(port) };
}
