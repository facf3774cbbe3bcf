import type { IncomingHttpHeaders } from "node:http";
import { requesterOf, type Target } from "../../buffers/access/request.ts";
import type { ServerAddress } from "../address.ts";

/** One request as it goes over the wire. */
export interface WireRequest {
  method: string;
  url: URL;
  headers: Readonly<Record<string, string>>;
  body: Buffer | undefined;
  signal: AbortSignal | undefined;
}

/** The headers of an answer; its body is still on the way. */
export interface WireResponse {
  status: number;
  statusText: string;
  headers: IncomingHttpHeaders;
  /** Names and values in turn, as the server spelled them. */
  rawHeaders: readonly string[];
  body: AsyncIterable<Buffer>;
  /** Gives up the body, so that its connection can be used again. */
  discard(): void;
}

/** Sends one request, once; `connected` is called as soon as there is a connection. */
export type Transport = (request: WireRequest, connected: () => void) => Promise<WireResponse>;

/** An API answers its headers at once; even a slow request gets this long. */
const HEADERS_TIMEOUT_MS = 60_000;

/** The transport to `address` over sockets of the runtime; `ca` replaces the certificates that it trusts. */
export function socketTransport(address: ServerAddress, ca: string | undefined): Transport {
  return async ({ method, url, headers, body, signal }, connected) => {
    const begin = await requesterOf(targetOf(address, url, ca));
    return new Promise((resolve, reject) => {
      const outgoing = begin({ method, headers, signal });
      const silence = `the server did not answer within ${HEADERS_TIMEOUT_MS / 1000} s`;
      const timer = setTimeout(() => outgoing.destroy(new Error(silence)), HEADERS_TIMEOUT_MS);
      outgoing.on("error", reject).on("close", () => clearTimeout(timer));
      outgoing.on("socket", (socket) => {
        if (socket.connecting) socket.once("connect", connected);
        else connected();
      });
      outgoing.on("response", (response) => {
        clearTimeout(timer);
        resolve({
          status: response.statusCode ?? 0,
          statusText: response.statusMessage ?? "",
          headers: response.headers,
          rawHeaders: response.rawHeaders,
          body: response,
          discard: () => void response.resume(),
        });
      });
      outgoing.end(body);
    });
  };
}

function targetOf(address: ServerAddress, url: URL, ca: string | undefined): Target {
  const path = url.pathname + url.search;
  if (address.kind === "unix") return { socketPath: address.socketPath, protocol: "http:", path };
  return {
    protocol: url.protocol === "https:" ? "https:" : "http:",
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port,
    path,
    ca,
  };
}
