import type { Caller } from "../../model/caller.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Set before the handler of a versioned route runs; the neutral ones are anonymous. */
    caller: Caller;
  }
}
