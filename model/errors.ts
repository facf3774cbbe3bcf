/**
 * The closed list of failures that a caller can tell apart. REST bodies and the CLI show these codes.
 * @see docs/errors.md, which a test compares with this list.
 */
export const ERROR_CODES = [
  "InvalidInput",
  "BadRequest",
  "InvalidRoute",
  "ApiVersionUnspecified",
  "UnsupportedApiVersion",
  "InvalidApiVersion",
  "AmbiguousApiVersion",
  "Forbidden",
  "NotFound",
  "PreconditionFailed",
  "PayloadTooLarge",
  "Unavailable",
  "Conflict",
  "LaunchFailed",
  // The data plane's own codes, sent as the header x-ms-error-code.
  "AuthenticationFailed",
  "AuthorizationPermissionMismatch",
  "InvalidContainerName",
  "InvalidBlobName",
  "ContainerNotFound",
  "BlobNotFound",
  "UnauthorizedBlobOverwrite",
  "Md5Mismatch",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** A failure that a caller can tell apart. `message` is one sentence for the caller. */
export class CodedError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CodedError";
    this.code = code;
  }
}

/** The error of an unknown id; checks look for `was not found`. */
export const notFound = (): CodedError => new CodedError("NotFound", "The resource was not found");

/** The text of anything thrown. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/** The system error code (`ENOENT`, `ECONNREFUSED`) of anything thrown, if it has one. */
export function errnoOf(thrown: unknown): string | undefined {
  if (typeof thrown !== "object" || thrown === null || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}
