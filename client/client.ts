import type { ServerAddress } from "./address.ts";
import { type Buffers, buffersOver } from "./buffers.ts";
import { type Codespecs, codespecsOver } from "./codespecs.ts";
import { ServerError, UnexpectedStatusError } from "./errors.ts";
import { type CallOptions, createHttp, type HttpOptions, type TokenProvider } from "./http/http.ts";
import { type Runs, runsOver } from "./run/runs.ts";
import type { ServiceMetadata } from "./types.ts";

/** The calls of the API. */
export interface Client {
  readonly address: ServerAddress;
  /** The certificates that its user trusts, also for signed URLs. */
  readonly ca: string | undefined;
  /** The token of its requests; undefined for a server that needs none. */
  readonly token: TokenProvider | undefined;
  readonly codespecs: Codespecs;
  readonly buffers: Buffers;
  readonly runs: Runs;
  /** The server's capabilities. They are not validated: another kind of server answers with anything. */
  metadata(options?: CallOptions): Promise<ServiceMetadata>;
  /** Whether the server and all that it needs work. Rejects when it cannot be reached. */
  isHealthy(options?: CallOptions): Promise<boolean>;
}

/** A client of the server at `address`; nothing is sent before the first call. */
export function createClient(address: ServerAddress, options: HttpOptions = {}): Client {
  const http = createHttp(address, options);
  return {
    address,
    ca: options.ca,
    token: options.token,
    codespecs: codespecsOver(http),
    buffers: buffersOver(http),
    runs: runsOver(http),
    async metadata({ signal } = {}) {
      const request = { method: "GET", path: "/metadata", isVersionless: true, signal } as const;
      return (await http.json<ServiceMetadata>(request)).value;
    },

    async isHealthy({ signal } = {}) {
      try {
        (await http.send({ method: "GET", path: "/healthcheck", isVersionless: true, signal })).discard();
        return true;
      } catch (err) {
        if (err instanceof ServerError || err instanceof UnexpectedStatusError) return false;
        throw err;
      }
    },
  };
}
