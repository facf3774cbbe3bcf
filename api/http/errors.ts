import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { CodedError, type ErrorCode } from "../../model/errors.ts";

/** The one place where a code becomes an HTTP status; a forgotten code does not compile. */
const STATUS: Record<ErrorCode, number> = {
  InvalidInput: 400,
  BadRequest: 400,
  InvalidRoute: 400,
  ApiVersionUnspecified: 400,
  UnsupportedApiVersion: 400,
  InvalidApiVersion: 400,
  AmbiguousApiVersion: 400,
  Forbidden: 403,
  NotFound: 404,
  PreconditionFailed: 412,
  PayloadTooLarge: 413,
  Unavailable: 503,
  Conflict: 409,
  LaunchFailed: 500,
  AuthenticationFailed: 403,
  AuthorizationPermissionMismatch: 403,
  InvalidContainerName: 400,
  InvalidBlobName: 400,
  ContainerNotFound: 404,
  BlobNotFound: 404,
  UnauthorizedBlobOverwrite: 403,
  Md5Mismatch: 400,
};

/** The codes that tell the caller which versions there are. */
const VERSION_CODES: readonly ErrorCode[] = [
  "ApiVersionUnspecified",
  "UnsupportedApiVersion",
  "InvalidApiVersion",
  "AmbiguousApiVersion",
];

/** The versions that this server speaks. */
export const API_VERSIONS = ["1.0"] as const;

export const statusOf = (code: ErrorCode): number => STATUS[code];

export interface ErrorBody {
  error: { code: ErrorCode; message: string; apiVersions?: readonly string[] };
}

export const errorBodyOf = (code: ErrorCode, message: string): ErrorBody => ({
  error: { code, message, ...(VERSION_CODES.includes(code) && { apiVersions: API_VERSIONS }) },
});

/** Answers anything thrown on the way of a request; a bug answers 500 without a text, and is logged. */
export function replyWithError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const err = thrown instanceof CodedError ? thrown : ofFramework(thrown);
  if (err !== undefined) {
    if (statusOf(err.code) >= 500) request.log.warn({ err }, "request could not be served");
    return reply.code(statusOf(err.code)).send(errorBodyOf(err.code, err.message));
  }
  request.log.error({ err: thrown }, "unhandled error");
  return reply.code(500).send();
}

/** What Fastify itself refuses is the caller's doing when it says so. */
function ofFramework(thrown: unknown): CodedError | undefined {
  if (!isFrameworkError(thrown)) return undefined;
  if (thrown.code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return new CodedError("PayloadTooLarge", "The body of the request is too large", { cause: thrown });
  }
  if (thrown.code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") {
    return new CodedError("InvalidInput", "The body must have the content type 'application/json'", { cause: thrown });
  }
  const status = thrown.statusCode ?? 500;
  if (status === 503) return new CodedError("Unavailable", "The server is shutting down", { cause: thrown });
  return status >= 400 && status < 500 ? new CodedError("BadRequest", thrown.message, { cause: thrown }) : undefined;
}

const isFrameworkError = (thrown: unknown): thrown is FastifyError =>
  thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" && thrown.code.startsWith("FST_");
