import { connectionFailureOf, errnoWordsOf } from "../model/errno.ts";
import { type ErrorCode, messageOf } from "../model/errors.ts";
import { type ServerAddress, shownUrlOf } from "./address.ts";
import type { WireResponse } from "./http/transport.ts";

/** An error answer of the server. Its message is the code and the server's sentence. */
export class ServerError extends Error {
  override readonly name = "ServerError";
  readonly status: number;
  /** A newer server may send a code that is not in the list. */
  readonly code: ErrorCode | (string & {});

  constructor(status: number, code: string, message: string) {
    super(`${code}: ${message}`);
    this.status = status;
    this.code = code;
  }
}

/** An error answer whose body is not in the form of the API; a proxy may have sent it. */
export class UnexpectedStatusError extends Error {
  override readonly name = "UnexpectedStatusError";
  readonly code = "UnexpectedStatus";
  readonly status: number;

  constructor(status: number, reason: string) {
    const advice = status === 401 ? "; run 'tyger login' to log in again" : "";
    super(`unexpected status code ${status} ${reason}`.trimEnd() + advice);
    this.status = status;
  }
}

/** The server cannot be reached, or the connection broke too often. `cause` is the error of the system. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  readonly code = "Unreachable";

  constructor(address: ServerAddress, cause: unknown) {
    const isDown = address.kind === "unix" && connectionFailureOf(cause) === "noListener";
    const hint = isDown ? "; is it running? 'tyger up' starts the local stack" : "";
    const reason = errnoWordsOf(cause, "connecting") ?? messageOf(cause);
    super(`cannot reach the server at ${shownUrlOf(address)}: ${reason}${hint}`, { cause });
  }
}

/** The resource has changed since the eTag that the program gave was read. */
export class ETagMismatchError extends Error {
  override readonly name = "ETagMismatchError";
  readonly code = "PreconditionFailed";

  constructor(options?: ErrorOptions) {
    super("the server's ETag does not match the provided ETag", options);
  }
}

/** No login file names a server. */
export class NotLoggedInError extends Error {
  override readonly name = "NotLoggedInError";
  readonly code = "NotLoggedIn";

  constructor() {
    super("run 'tyger login' to connect to a Tyger server");
  }
}

/**
 * Whether an error of this package has one of these codes: those of the server, those of a transfer (`Conflict`,
 * `Md5Mismatch`), and `Unreachable`, `UnexpectedStatus` and `NotLoggedIn`.
 */
export const hasCode = (
  err: unknown,
  ...codes: readonly (ErrorCode | "Unreachable" | "UnexpectedStatus" | "NotLoggedIn")[]
): boolean => err instanceof Error && "code" in err && (codes as readonly unknown[]).includes(err.code);

type Fields = { code?: unknown; message?: unknown };

const MAX_ERROR_BYTES = 1 << 20;

/** The error that a response of status 400 or more stands for. */
export async function errorOf(response: WireResponse): Promise<ServerError | UnexpectedStatusError> {
  const { status, statusText } = response;
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of response.body) {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_ERROR_BYTES) break;
      chunks.push(chunk);
    }
    const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as { error?: Fields } | null;
    const { code, message } = body?.error ?? {};
    if (typeof code === "string" && typeof message === "string") return new ServerError(status, code, message);
  } catch {
    // The status is all there is.
  }
  return new UnexpectedStatusError(status, statusText);
}
