import type { FastifyReply, FastifyRequest } from "fastify";
import { type Route, ROUTES } from "../../contract/routes.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** The operation that a route is, if it can change something. */
    change?: string;
  }
  interface FastifyRequest {
    /** A repeat that changed nothing. */
    isRepeat: boolean;
  }
}

/** Permission to write a buffer leaves the server with its URL: a later write names no caller. */
const IF_WRITEABLE: readonly Route[] = [ROUTES.accessBuffer];
const NEVER: readonly Route[] = [ROUTES.sweepRuns];

/** The name of a route in the log of changes; undefined for one that changes nothing. */
export function changeOf(route: Route): string | undefined {
  if (route.method === "GET" || NEVER.includes(route)) return undefined;
  return Object.entries(ROUTES).find(([, one]) => one === route)?.[0];
}

/** Logs who changed or could not change what, in one line; everything else a request does is at a lower level. */
export function logChange(req: FastifyRequest, reply: FastifyReply): void {
  const { change } = req.routeOptions.config;
  const isRefused = reply.statusCode === 403;
  if (change === undefined || req.isRepeat || (reply.statusCode >= 400 && !isRefused)) return;
  if (IF_WRITEABLE.some((route) => changeOf(route) === change) && !isToWrite(req.query)) return;
  const object = reply.getHeader("location") ?? /^\/[^/]+\/[^/?]+/.exec(req.url)?.[0];
  req.log.info(
    { subject: req.caller.subject, action: change, object },
    isRefused ? "change refused" : "change accepted",
  );
}

const isToWrite = (query: unknown): boolean =>
  typeof query === "object" && query !== null && "writeable" in query && query.writeable === true;
