import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { errorBodyOf, statusOf } from "../../contract/error-status.ts";
import { CodedError } from "../../model/errors.ts";
import { Unauthenticated } from "../auth/access.ts";

/** Answers for anything thrown during a request; a bug answers 500 without a text, and is logged. */
export function replyWithError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (thrown instanceof Unauthenticated) {
    request.log.info({ reason: thrown.message }, "a request without a valid token was refused");
    return reply.code(401).header("WWW-Authenticate", thrown.challenge).send();
  }
  const err = thrown instanceof CodedError ? thrown : ofFramework(thrown);
  if (err !== undefined) {
    if (statusOf(err.code) >= 500) request.log.warn({ err }, "request could not be served");
    return reply.code(statusOf(err.code)).send(errorBodyOf(err.code, err.message));
  }
  request.log.error({ err: thrown }, "unhandled error");
  return reply.code(500).send();
}

/** An error of Fastify's own is the caller's fault if its status is 4xx. */
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
