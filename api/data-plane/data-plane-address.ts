import type { FastifyRequest } from "fastify";

/** Where clients of this request reach the data plane. */
export interface DataPlaneAddress {
  /** `host:port` for a client that connects over TCP, or prefers it where TCP is on; else undefined. */
  hostFor(request: FastifyRequest, preferTcp?: boolean): string | undefined;
  /** The endpoint URL of the one storage account. */
  endpointFor(request: FastifyRequest): string;
}

const HOST = /^(?:\[[0-9a-fA-F:]+\]|[\w.-]+)(?::[0-9]{1,5})?$/;

/** `listen` is the `host:port` of both planes, if they answer over TCP at all. */
export function createDataPlaneAddress(dataSocket: string, listen: string | undefined): DataPlaneAddress {
  // "All addresses" is not an address to connect to; a client of the socket is on this machine.
  const here = listen?.replace(/^(?:0\.0\.0\.0|\[::\])(?=:)/, "localhost");
  const hostFor = (request: FastifyRequest, preferTcp = false): string | undefined => {
    // A connection over a Unix socket has no address.
    if (request.socket.remoteAddress === undefined) return preferTcp ? here : undefined;
    const { host = "" } = request.headers;
    return HOST.test(host) ? host : here;
  };
  return {
    hostFor,
    endpointFor(request) {
      const host = hostFor(request);
      return host === undefined ? `http+unix://${dataSocket}` : `http://${host}`;
    },
  };
}
