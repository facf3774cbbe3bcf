import type { FastifyRequest } from "fastify";
import { hostnameOf } from "../http/hosts.ts";

/** Where clients of a request reach the data plane. */
export interface DataPlaneAddress {
  /** The URL before `/containers/` for a client that connects over TCP, or prefers it where TCP is on; else undefined. */
  baseUrlFor(request: FastifyRequest, preferTcp?: boolean): string | undefined;
  /** The endpoint URL of every storage account. */
  endpointFor(request: FastifyRequest): string;
}

/** The places at which the data plane answers over TCP, if it does. */
export interface DataOrigins {
  /** As clients beyond this machine know it. */
  publicUrl?: string | undefined;
  /** `http://host:port` or `https://host:port` of its own listener. */
  data?: string | undefined;
  /** The same of the listener that it shares with the control plane. */
  control?: string | undefined;
}

/** `origins` is asked at each request, because a port can be known only after the apps exist. */
export function createDataPlaneAddress(dataSocket: string, origins: () => DataOrigins): DataPlaneAddress {
  const baseUrlFor = (request: FastifyRequest, preferTcp = false): string | undefined => {
    // A connection over a Unix socket has no address.
    const isTcp = request.socket.remoteAddress !== undefined;
    return isTcp || preferTcp ? baseUrlOf(origins(), isTcp ? request.headers.host : undefined) : undefined;
  };
  return {
    baseUrlFor,
    endpointFor: (request) => baseUrlFor(request) ?? `http+unix://${dataSocket}`,
  };
}

/** The base URL of the data plane for a client that reached the control plane at `host`, or at its socket. */
export function baseUrlOf({ publicUrl, data, control }: DataOrigins, host: string | undefined): string | undefined {
  const hostname = host === undefined ? undefined : hostnameOf(host);
  if (publicUrl !== undefined) return publicUrl;
  if (data !== undefined) return reachable(data, hostname ?? "localhost");
  if (control === undefined) return undefined;
  // One listener: the client has reached it, by whatever address and port.
  return hostname === undefined ? reachable(control, "localhost") : `${new URL(control).protocol}//${host}`;
}

/** "All addresses" is not an address to connect to. */
function reachable(origin: string, hostname: string): string {
  return origin.replace(/(?<=\/\/)(?:0\.0\.0\.0|\[::\])(?=:)/, hostname.includes(":") ? `[${hostname}]` : hostname);
}
