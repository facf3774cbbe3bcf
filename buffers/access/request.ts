import { Agent, type ClientRequest, request as httpRequest } from "node:http";

/** The address in a URL: over TCP, or through the Unix socket that an `http+unix://<socket>:<path>` URL names. */
export interface Target {
  socketPath?: string;
  protocol: "http:" | "https:";
  hostname?: string;
  port?: string;
  /** Path with query. */
  path: string;
  /** The certificates to trust instead of the machine's, as PEM. */
  ca?: string | undefined;
}

export interface RequestOptions {
  method: string;
  headers: Readonly<Record<string, string | number>>;
  signal?: AbortSignal | undefined;
  /** Silence on the connection for longer than this emits `timeout`. */
  timeoutMs?: number;
}

/** One connection per request in flight, kept for the next; idle ones never keep the process alive. */
const agent = new Agent({ keepAlive: true, maxFreeSockets: 64 });
/** Without it Node asks whether the host is an IP address, with expressions that take 7 ms to compile. */
const WITHOUT_TLS = { agent, servername: "" };

/**
 * Starts a request to `target`, as for every server except Docker's. TLS is loaded only for https: loading it costs the
 * command line more than a small transfer over a socket.
 */
export async function requesterOf(target: Target): Promise<(options: RequestOptions) => ClientRequest> {
  const { protocol, path, socketPath, hostname, port, ca } = target;
  const address = socketPath === undefined ? { hostname, port } : { socketPath };
  const isTls = protocol === "https:";
  const tls = isTls ? await import("./secure-request.ts") : undefined;
  const request = tls?.httpsRequest ?? httpRequest;
  const fixed = { path, ...address, ...(tls ? { agent: tls.secureAgent(ca) } : WITHOUT_TLS) };
  return ({ method, headers, signal, timeoutMs }) =>
    request({
      ...fixed,
      method,
      headers,
      ...(signal && { signal }),
      ...(timeoutMs !== undefined && { timeout: timeoutMs }),
    });
}
