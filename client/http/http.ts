import type { IncomingHttpHeaders } from "node:http";
import { connectionFailureOf } from "../../model/errno.ts";
import { retry } from "../../waiting/retry.ts";
import type { ServerAddress } from "../address.ts";
import { ConnectionError, errorOf } from "../errors.ts";
import { baggageHeader } from "./baggage.ts";
import { type Failure, retryAfterMsOf, retryDelayMs, type RetryPolicy } from "./retry.ts";
import { socketTransport, type WireRequest, type WireResponse } from "./transport.ts";
import { type Query, urlOf } from "./url.ts";

/** Options of every call of the client. */
export interface CallOptions {
  /** Ends the call at once, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

export interface ApiRequest extends CallOptions {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Path below the server's, names in it already encoded; may hold a query of its own (a `nextLink`). */
  path: string;
  query?: Query | undefined;
  body?: unknown;
  headers?: Readonly<Record<string, string>>;
  /** Whether doing it twice is harmless; by default true except for POST. */
  isRepeatable?: boolean;
  /** `/metadata` has no version. */
  isVersionless?: boolean;
}

/** Reports on requests, for a program's own log. */
export interface HttpHooks {
  /** Once for each attempt. */
  onRequest?: (request: Pick<WireRequest, "method" | "url" | "headers">) => void;
  /** Whatever its status. */
  onResponse?: (response: Pick<WireResponse, "status" | "statusText" | "rawHeaders">) => void;
  /** Before the pause that precedes the next attempt. */
  onRetry?: (reason: { status: number } | { error: unknown }) => void;
}

/** The token for a request. It is asked for each attempt, so it must know when it still has a good one. */
export type TokenProvider = () => string | Promise<string>;

export interface HttpOptions extends HttpHooks {
  /** For a server with access control. The anonymous calls, such as `metadata`, do without. */
  token?: TokenProvider | undefined;
  /** Pairs for the log lines of the server. */
  baggage?: Readonly<Record<string, string>> | undefined;
  /** Certificates to trust, as PEM, in place of the runtime's. */
  ca?: string | undefined;
  /** When a failed request is sent again: as the REST contract says, unless given; `false` for never. */
  retry?: RetryPolicy | false | undefined;
}

/** The control plane over HTTP. */
export interface Http {
  readonly address: ServerAddress;
  /**
   * Sends a request and resolves when the headers of a good answer are there; its body is the caller's to read.
   * @throws ServerError, UnexpectedStatusError, ConnectionError, and the reason of an aborted signal
   */
  send(request: ApiRequest): Promise<WireResponse>;
  /** Sends a request and reads its answer as JSON, whose type the caller knows; fields unknown to it stay in it. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- a cast in one place, not in each caller
  json<T>(request: ApiRequest): Promise<{ value: T; headers: IncomingHttpHeaders }>;
}

/** The HTTP client of the server at `address`. @throws Error for baggage that no header can hold */
export function createHttp(address: ServerAddress, options: HttpOptions = {}): Http {
  const { baggage = {}, ca, retry: policy = retryDelayMs } = options;
  const transport = socketTransport(address, ca);
  const common: Record<string, string> = { "Content-Type": "application/json", "User-Agent": "tyger" };
  if (Object.keys(baggage).length > 0) common["baggage"] = baggageHeader(baggage);
  let wasReached = false;
  let hasServed = false;

  const once = async (request: ApiRequest, token: string | undefined): Promise<WireResponse> => {
    const { method, signal } = request;
    const url = urlOf(address, request);
    const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
    const headers = {
      ...common,
      ...request.headers,
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...(body && { "Content-Length": String(body.length) }),
    };
    options.onRequest?.({ method, url, headers });
    const response = await transport({ method, url, headers, body, signal }, () => (wasReached = true));
    hasServed ||= response.status < 500;
    options.onResponse?.(response);
    return response;
  };

  /** Sends until `read` has taken what it needs of a good answer: one that is cut off is asked for again, too. */
  const exchange = async <T>(request: ApiRequest, read: (response: WireResponse) => T | Promise<T>): Promise<T> => {
    const { signal, isRepeatable = request.method !== "POST" } = request;
    let failedAtMs: number | undefined;
    const pauses = (count: number, err: unknown): number | undefined => {
      if (!policy || !(err instanceof FailedAttempt) || !err.failure) return undefined;
      failedAtMs ??= Date.now();
      const elapsedMs = Date.now() - failedAtMs;
      return policy(err.failure, { over: address.kind, isRepeatable, wasReached, hasServed, count, elapsedMs });
    };
    const onRetry = (err: unknown): void => {
      const { response, cause } = err as FailedAttempt;
      response?.discard();
      options.onRetry?.(response ? { status: response.status } : { error: cause });
    };
    signal?.throwIfAborted();
    try {
      const send = async (): Promise<T> => {
        // A failure of the provider is not one of the server.
        const token = request.isVersionless ? undefined : await options.token?.();
        return attempt(() => once(request, token), read);
      };
      return await retry(send, { pauses, onRetry, signal });
    } catch (err) {
      const refusal = err instanceof FailedAttempt && err.response && (await errorOf(err.response));
      signal?.throwIfAborted();
      if (!(err instanceof FailedAttempt)) throw err;
      if (refusal) throw refusal;
      throw err.failure?.kind === "connection" ? new ConnectionError(address, err.cause) : err.cause;
    }
  };

  return {
    address,
    send: (request) => exchange(request, (response) => response),
    // oxlint-disable-next-line typescript/no-unnecessary-type-parameters
    json: <T>(request: ApiRequest) =>
      exchange(request, async ({ body, headers }) => {
        const chunks: Buffer[] = [];
        for await (const chunk of body) chunks.push(chunk);
        try {
          return { value: JSON.parse(Buffer.concat(chunks).toString("utf8")) as T, headers };
        } catch (err) {
          throw new Error(`the server's answer to ${request.method} ${request.path} is not JSON`, { cause: err });
        }
      }),
  };
}

/** Why one attempt gave no good answer; never leaves this file. */
class FailedAttempt extends Error {
  readonly failure: Failure | undefined;
  readonly response: WireResponse | undefined;

  constructor(failure: Failure | undefined, { response, cause }: { response?: WireResponse; cause?: unknown }) {
    super("attempt failed", { cause });
    this.failure = failure;
    this.response = response;
  }
}

async function attempt<T>(
  send: () => Promise<WireResponse>,
  read: (response: WireResponse) => T | Promise<T>,
): Promise<T> {
  let response: WireResponse;
  try {
    response = await send();
    if (response.status < 400) return await read(response);
  } catch (cause) {
    const connection = connectionFailureOf(cause);
    const failure: Failure = connection ? { kind: "connection", neverSent: connection !== "lost" } : { kind: "other" };
    throw new FailedAttempt(failure, { cause });
  }
  const { status, headers } = response;
  // The request itself is wrong: a retry would not fix it.
  if (status < 500 && status !== 429) throw new FailedAttempt(undefined, { response });
  const retryAfterMs = retryAfterMsOf(headers["retry-after"], Date.now());
  throw new FailedAttempt({ kind: "status", status, retryAfterMs }, { response });
}
