import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server, type ServerOptions } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { errnoWordsOf } from "../model/errno.ts";
import { messageOf } from "../model/errors.ts";
import { poll } from "../waiting/bounded.ts";
import { isLoopback } from "./http/hosts.ts";
import { answerUnreadable } from "./http/unreadable-request.ts";

/** For a request with its body, which on the data plane can be a large blob; answers have no limit. */
const REQUEST_MS = 120_000;

/** Where a server listens on TCP, and with which certificate. */
export interface TcpEndpoint {
  /** `host:port`. */
  listen: string;
  tls?: { certificate: string; key: string } | undefined;
}

export interface TcpListener {
  /** `http://host:port` as it was configured, with the port that port 0 became. */
  origin: string;
  server: Server;
}

/**
 * Lets `answer` answer on a TCP address.
 * @param isOpenToAll false: only loopback addresses are allowed
 * @throws Error when the address has another form, is in use, or is not allowed, and for a certificate that cannot be used
 */
export async function listenOnTcp(
  { listen, tls }: TcpEndpoint,
  { answer, isOpenToAll }: { answer: RequestListener; isOpenToAll: boolean },
): Promise<TcpListener> {
  const { host, port } = hostAndPortOf(listen);
  // The address that is checked is the one that is listened on.
  const { address } = await lookup(host.replace(/^\[|\]$/g, ""));
  if (!isOpenToAll && !isLoopback(address)) {
    throw new Error(
      `Without authentication, the control plane cannot listen on '${listen}', to which other machines can connect; listen on 127.0.0.1, or set 'authentication' in the configuration file`,
    );
  }
  const options = { requestTimeout: REQUEST_MS, keepAlive: true };
  const server = tls ? await createTls(tls, options, answer) : createServer(options, answer);
  server.on("clientError", answerUnreadable);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address, port }, resolve);
  });
  return { origin: `${tls ? "https" : "http"}://${host}:${(server.address() as AddressInfo).port}`, server };
}

/** Stops listening and lets requests under way end; those that take longer than `withinMs` are cut. */
export async function drain(server: Server, withinMs: number): Promise<void> {
  let isClosed = false;
  server.close(() => (isClosed = true));
  const look = async (): Promise<true | undefined> => {
    // One whose request has just ended would be kept for the next.
    server.closeIdleConnections();
    return isClosed || undefined;
  };
  if (!(await poll(look, { everyMs: 20, withinMs }))) server.closeAllConnections();
}

function hostAndPortOf(address: string): { host: string; port: number } {
  const { host, port } = /^(?<host>\[[0-9a-fA-F:]+\]|[^:[\]]+):(?<port>[0-9]{1,5})$/.exec(address)?.groups ?? {};
  if (host === undefined || port === undefined)
    throw new Error(`The address '${address}' is not of the form host:port`);
  return { host, port: Number(port) };
}

/** @throws Error that names the files, and why they cannot be used */
async function createTls(
  { certificate, key }: { certificate: string; key: string },
  options: ServerOptions,
  answer: RequestListener,
): Promise<Server> {
  try {
    return createTlsServer({ ...options, cert: await readFile(certificate), key: await readFile(key) }, answer);
  } catch (err) {
    const problem = errnoWordsOf(err, "reading") ?? messageOf(err);
    throw new Error(`The certificate '${certificate}' with the key '${key}' cannot be used: ${problem}`, {
      cause: err,
    });
  }
}
