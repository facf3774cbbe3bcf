import type { IncomingMessage, Server } from "node:http";
import type { FastifyRequest } from "fastify";
import { type Caller, LOCAL_USER } from "../../model/caller.ts";

/** Where clients obtain the tokens that a server accepts. */
export interface Authority {
  issuer: string;
  /** The audience that a token must be for. */
  audience: string;
  /** The public client that people log in with. */
  clientId?: string | undefined;
  /** The scope that clients ask the issuer for in place of the audience. */
  scope?: string | undefined;
}

/** Decides who makes a request to the control plane. */
export interface AccessControl {
  /** @throws Unauthenticated, or CodedError Unavailable when that cannot be decided now */
  callerOf(this: void, req: FastifyRequest): Caller | Promise<Caller>;
  /** Undefined for a request that needs no token. */
  authorityFor(this: void, req: FastifyRequest): Authority | undefined;
}

/** A request whose caller is unknown. The contract gives it an answer without a body. */
export class Unauthenticated extends Error {
  override readonly name = "Unauthenticated";
  /** The header `WWW-Authenticate`. */
  readonly challenge: string;

  constructor(reason: string, challenge: string, options?: ErrorOptions) {
    super(reason, options);
    this.challenge = challenge;
  }
}

/** Every request is from `callerOf`, whatever token it has. */
export const openAccess = (callerOf: () => Caller = () => LOCAL_USER): AccessControl => ({
  callerOf,
  authorityFor: () => undefined,
});

/**
 * Notes in `requests` those that arrive at a server's own listener, and not those that other listeners pass on to its app.
 * The request tells it, and not its connection: one that has ended has no address.
 */
export function noteRequests(server: Server, requests: WeakSet<IncomingMessage>): void {
  server.prependListener("request", (req) => requests.add(req));
}
