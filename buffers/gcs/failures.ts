import { connectionFailureOf, errnoWordsOf } from "../../model/errno.ts";
import { CodedError, errnoOf, messageOf } from "../../model/errors.ts";

/** The server refused a request. */
export class Refusal extends Error {
  /** That of HTTP. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The server took or sent nothing for a while. */
export class Stalled extends Error {}

/** The bytes that arrived are not those that were sent: an answer that ends before its last byte, bytes that changed on their way. */
export class Garbled extends Error {}

/** There is no token to show who we are, at least for the moment. */
export class NoCredentials extends Error {}

/** 408, 429 and all of 5xx ask for another attempt. @see https://cloud.google.com/storage/docs/retry-strategy */
const asksAgain = (status: number): boolean => status === 408 || status === 429 || status >= 500;

const isConnection = (err: unknown): boolean =>
  connectionFailureOf(err) !== undefined || /^(?:HPE_|ERR_SSL|ERR_STREAM_PREMATURE)/.test(errnoOf(err) ?? "");

/** Whether another attempt can succeed. */
export function isPassing(err: unknown): boolean {
  if (err instanceof Refusal) return asksAgain(err.status);
  if (err instanceof NoCredentials) return isConnection(err.cause);
  return err instanceof Stalled || err instanceof Garbled || isConnection(err);
}

/** The failure for callers of the store: a bucket that cannot be asked is a location that is away. Any other error stays. */
export function asUnavailable(bucket: string, err: unknown): unknown {
  const reason = reasonOf(err);
  return reason === undefined ? err : new CodedError("Unavailable", `The bucket '${bucket}' ${reason}`, { cause: err });
}

function reasonOf(err: unknown): string | undefined {
  if (err instanceof NoCredentials) return `cannot be used without credentials: ${err.message}`;
  if (!(err instanceof Refusal)) {
    return isPassing(err) ? `cannot be reached: ${errnoWordsOf(err, "connecting") ?? messageOf(err)}` : undefined;
  }
  if (err.status === 404) return "does not exist";
  if (err.status === 401 || err.status === 403) return `refuses access: ${err.message}`;
  if (asksAgain(err.status)) return `is busy (${err.status}): ${err.message}`;
  return `refused a request (${err.status}): ${err.message}`;
}
