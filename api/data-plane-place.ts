import type { FastifyRequest } from "fastify";

/** Where clients of this request reach the data plane. */
export interface DataPlanePlace {
  /** `host:port` for a client that comes over TCP, or prefers it and may have it; else undefined. */
  hostFor(request: FastifyRequest, preferTcp?: boolean): string | undefined;
  /** The endpoint URL of the one storage account. */
  endpointFor(request: FastifyRequest): string;
}

/** `listen` is the `host:port` of both planes, if they answer over TCP at all. */
export function createDataPlanePlace(dataSocket: string, listen: string | undefined): DataPlanePlace {
  const hostFor = (request: FastifyRequest, preferTcp = false): string | undefined => {
    // A connection over a Unix socket has no address.
    if (request.socket.remoteAddress !== undefined) return request.headers.host ?? listen;
    return preferTcp ? listen : undefined;
  };
  return {
    hostFor,
    endpointFor(request) {
      const host = hostFor(request);
      return host === undefined ? `http+unix://${dataSocket}` : `http://${host}`;
    },
  };
}
