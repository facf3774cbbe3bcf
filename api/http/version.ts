import type { FastifyRequest } from "fastify";
import { CodedError } from "../../model/errors.ts";
import { API_VERSIONS } from "../../contract/api-version.ts";
import { pathAndQueryOf } from "./query.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** The route ignores `api-version`. */
    neutral?: boolean;
    /** Contributors cannot use the route. */
    ownerOnly?: boolean;
  }
}

const WELL_FORMED = /^(?:[0-9]{1,9}(?:\.[0-9]{1,9})?|[0-9]{4}-[0-9]{2}-[0-9]{2})(?:-[a-zA-Z][a-zA-Z0-9]*)?$/;

/**
 * The URL that a request is routed by. Old clients put `/v1/` before each path and need no version parameter.
 */
export function routedUrl(url: string): string {
  if (!url.startsWith("/v1/")) return url;
  const [path, query] = pathAndQueryOf(url);
  const parameters = query.split("&").filter((part) => part !== "" && !/^api-version=?$/.test(part));
  if (!parameters.some((part) => part.startsWith("api-version="))) parameters.push(`api-version=${API_VERSIONS[0]}`);
  return `${path.replaceAll("/v1/", "/")}?${parameters.join("&")}`;
}

/** @throws CodedError one of the four version codes */
export function checkVersion(request: FastifyRequest): void {
  if (request.routeOptions.config.neutral === true) return;
  const given = versionsOf(request.query);
  const [version] = given;
  if (version === undefined) throw new CodedError("ApiVersionUnspecified", "Unspecified API version");
  if (given.length > 1) throw new CodedError("AmbiguousApiVersion", "Ambiguous API version");
  if (!WELL_FORMED.test(version)) throw new CodedError("InvalidApiVersion", "Invalid API version");
  if (version !== API_VERSIONS[0]) throw new CodedError("UnsupportedApiVersion", "Unsupported API version");
}

function versionsOf(query: unknown): string[] {
  if (typeof query !== "object" || query === null || !("api-version" in query)) return [];
  const given = query["api-version"];
  const values = Array.isArray(given) ? given : [given];
  return [...new Set(values.filter((value) => typeof value === "string" && value !== ""))];
}
