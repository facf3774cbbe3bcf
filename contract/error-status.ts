import type { ErrorCode } from "../model/errors.ts";
import { API_VERSIONS } from "./api-version.ts";

/** The one place where a code becomes an HTTP status; a forgotten code does not compile. */
const STATUS: Readonly<Record<ErrorCode, number>> = {
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

export const statusOf = (code: ErrorCode): number => STATUS[code];

export interface ErrorBody {
  error: { code: ErrorCode; message: string; apiVersions?: readonly string[] };
}

export const errorBodyOf = (code: ErrorCode, message: string): ErrorBody => ({
  error: { code, message, ...(VERSION_CODES.includes(code) && { apiVersions: API_VERSIONS }) },
});
