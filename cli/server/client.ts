import { Agent, type IncomingHttpHeaders, type IncomingMessage, request as httpRequest } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { ArgsDef, CommandContext } from "../line/command.ts";
import { connectionCodeOf, errorOf } from "./client-errors.ts";
import type { Log } from "../terminal/log.ts";
import { readLogin } from "./login-file.ts";
import { type Failure, retryAfterMsOf, retryDelayMs } from "./retry.ts";
import { parseServerUrl, type ServerAddress, shownUrlOf } from "./server-url.ts";
import { traceRequest, traceResponse } from "./trace.ts";

/** Query parameters; a list repeats its name, undefined leaves it out. */
export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface ApiRequest {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Path below the server's, names in it already encoded; may hold a query of its own (a `nextLink`). */
  path: string;
  query?: Query;
  body?: unknown;
  headers?: Readonly<Record<string, string>>;
  /** Whether doing it twice is harmless; a POST is not, unless it says so. */
  isRepeatable?: boolean;
  /** `/metadata` has no version. */
  isVersionless?: boolean;
  /** Tried once, whatever happens. */
  isOnce?: boolean;
  signal?: AbortSignal;
}

/** The control plane over HTTP. */
export interface Client {
  readonly address: ServerAddress;
  /**
   * Sends a request and resolves when the headers of a good answer are there; its body is the caller's to read.
   * @throws ServerError, or an error that names what went wrong with the connection
   */
  send(request: ApiRequest): Promise<IncomingMessage>;
  /** Sends a request and reads its answer as JSON, of which the caller knows what it holds. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- a cast in one place, not in each caller
  json<T>(request: ApiRequest): Promise<{ value: T; headers: IncomingHttpHeaders }>;
}

/** An API answers its headers at once; even a slow request gets this long. */
const HEADERS_TIMEOUT_MS = 60_000;
/** Without it Node asks whether the host is an IP address, by expressions that take 7 ms to compile. */
const WITHOUT_TLS = { servername: "" };
const API_VERSION = "1.0";
export const NOT_LOGGED_IN = "run 'tyger login' to connect to a Tyger server";

/** The client of the server that the login file names. @throws Error when nobody is logged in */
export async function connect<A extends ArgsDef>({ host, log, globals }: CommandContext<A>): Promise<Client> {
  const path = host.config.loginFile;
  const login = path === undefined ? undefined : await readLogin(path);
  if (!login?.serverUrl) throw new Error(NOT_LOGGED_IN);
  return createClient(parseServerUrl(login.serverUrl), { log, baggage: globals.baggage });
}

/** A client of the server at `address`. */
export function createClient(
  address: ServerAddress,
  { log, baggage }: { log: Log; baggage?: Readonly<Record<string, string>> | undefined },
): Client {
  const agent = new Agent({ keepAlive: true });
  const common: Record<string, string> = { "Content-Type": "application/json", "User-Agent": "tyger" };
  if (baggage && Object.keys(baggage).length > 0) common["baggage"] = baggageHeader(baggage);
  let wasReached = false;
  let hasServed = false;

  const once = (request: ApiRequest): Promise<IncomingMessage> => {
    const target = targetOf(address, request);
    const body = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body));
    const headers = { ...common, ...request.headers, ...(body && { "Content-Length": String(body.length) }) };
    traceRequest(log, request.method, target.shown, headers);
    return new Promise((resolve, reject) => {
      const { shown: _, ...options } = target;
      const outgoing = httpRequest({
        ...options,
        agent,
        ...WITHOUT_TLS,
        method: request.method,
        headers,
        ...(request.signal && { signal: request.signal }),
      });
      const timer = setTimeout(
        () => outgoing.destroy(new Error(`the server did not answer within ${HEADERS_TIMEOUT_MS / 1000} s`)),
        HEADERS_TIMEOUT_MS,
      );
      outgoing.on("error", reject).on("close", () => clearTimeout(timer));
      outgoing.on("socket", (socket) => {
        if (socket.connecting) socket.once("connect", () => (wasReached = true));
      });
      outgoing.on("response", (response) => {
        clearTimeout(timer);
        hasServed ||= (response.statusCode ?? 0) < 500;
        traceResponse(log, response);
        resolve(response);
      });
      outgoing.end(body);
    });
  };

  const send = async (request: ApiRequest): Promise<IncomingMessage> => {
    const isRepeatable = request.isRepeatable ?? request.method !== "POST";
    const over = address.kind;
    let failedAtMs: number | undefined;
    for (let count = 1; ; count++) {
      const { response, failure, error } = await attempt(() => once(request));
      if (response && !failure) {
        if ((response.statusCode ?? 0) < 400) return response;
        throw await errorOf(response);
      }
      if (!failure || request.signal?.aborted) throw error;
      failedAtMs ??= Date.now();
      const elapsedMs = Date.now() - failedAtMs;
      const delayMs = request.isOnce
        ? undefined
        : retryDelayMs(failure, { over, isRepeatable, wasReached, hasServed, count, elapsedMs });
      if (delayMs === undefined) throw response ? await errorOf(response) : unreachable(address, failure, error);
      if (failure.kind === "status") {
        log.warn("Received retryable status code", { status: failure.status });
        response?.resume();
      } else {
        log.warn("Received retryable error", { error });
      }
      await sleep(delayMs, undefined, request.signal ? { signal: request.signal } : {});
    }
  };

  return {
    address,
    send,
    // oxlint-disable-next-line typescript/no-unnecessary-type-parameters
    async json<T>(request: ApiRequest) {
      const response = await send(request);
      const chunks: Buffer[] = [];
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
      const text = Buffer.concat(chunks).toString("utf8");
      try {
        // Clients read answers tolerantly: what is not there is not shown.
        return { value: JSON.parse(text) as T, headers: response.headers };
      } catch (err) {
        throw new Error(`the server's answer to ${request.method} ${request.path} is not JSON`, { cause: err });
      }
    },
  };
}

async function attempt(
  work: () => Promise<IncomingMessage>,
): Promise<{ response?: IncomingMessage; failure?: Failure; error?: unknown }> {
  try {
    const response = await work();
    const status = response.statusCode ?? 0;
    if (status < 500 && status !== 429) return { response };
    const retryAfterMs = retryAfterMsOf(response.headers["retry-after"], Date.now());
    return { response, failure: { kind: "status", status, retryAfterMs } };
  } catch (error) {
    const code = connectionCodeOf(error);
    if (code === undefined) return { error };
    const neverSent = code !== "ECONNRESET" && code !== "EPIPE" && code !== "ETIMEDOUT";
    return { failure: { kind: "connection", code, neverSent }, error };
  }
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was reset",
  ENOENT: "no such socket",
  ENOTFOUND: "no such host",
};

function unreachable(address: ServerAddress, failure: Failure, cause: unknown): Error {
  const code = failure.kind === "connection" ? failure.code : "";
  const isDown = address.kind !== "tcp" && (code === "ENOENT" || code === "ECONNREFUSED");
  const hint = isDown ? "; is it running? 'tyger up' starts the local stack" : "";
  return new Error(`cannot reach the server at ${shownUrlOf(address)}: ${WORDS[code] ?? code}${hint}`, { cause });
}

function targetOf(
  address: ServerAddress,
  request: ApiRequest,
): { shown: URL; path: string; socketPath?: string } & {
  host?: string;
  port?: string;
} {
  const dots = /\/(?<name>\.{1,2})(?=[/?]|$)/.exec(request.path)?.groups?.["name"];
  // A URL would lead to another place: 'run show .' to the list of all runs.
  if (dots !== undefined) throw new Error(`'${dots}' is no id or name of anything on a server`);
  const base = address.kind === "tcp" ? address.baseUrl : "http://localhost";
  const url = new URL(`${base}${request.path}`);
  const given = Object.entries({ ...request.query })
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => [name, one] as const))
    .filter(([, value]) => value !== undefined);
  for (const [name, value] of given) url.searchParams.append(name, String(value));
  if (!request.isVersionless && !url.searchParams.has("api-version")) url.searchParams.set("api-version", API_VERSION);
  url.searchParams.sort();
  const path = url.pathname + url.search;
  if (address.kind === "unix") return { shown: url, path, socketPath: address.socketPath };
  return { shown: url, path, host: url.hostname.replace(/^\[|\]$/g, ""), port: url.port || "80" };
}

/** @see https://www.w3.org/TR/baggage/#key: a token of HTTP. */
const BAGGAGE_KEY = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

const baggageHeader = (pairs: Readonly<Record<string, string>>): string =>
  Object.entries(pairs)
    .map(([key, value]) => {
      if (!BAGGAGE_KEY.test(key)) {
        throw new Error(`the key '${key}' of --baggage may hold letters, digits and the signs of HTTP tokens only`);
      }
      return `${key}=${encodeURIComponent(value)}`;
    })
    .join(",");
