import type { FastifyRequest } from "fastify";
import type { Caller } from "../../model/caller.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Set before any handler runs. */
    caller: Caller;
  }
}

/** How a server identifies the caller of a request. */
export type CallerOf = (req: FastifyRequest) => Caller;
