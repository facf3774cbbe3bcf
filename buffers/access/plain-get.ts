import { connect, type Socket } from "node:net";
import { errnoOf } from "../../model/errors.ts";
import type { Reply } from "./http.ts";
import type { Target } from "./request.ts";

/**
 * GET over our own connections: a reader is as fast as it can receive bytes. The runtime's HTTP client copies each piece
 * of a body twice, into newly allocated memory; here the kernel puts the bytes directly into their blob. Supports only
 * responses of known length over plain HTTP/1.1, which is what the data plane sends.
 */

const HEAD_END = Buffer.from("\r\n\r\n");
const MAX_HEAD_BYTES = 64 * 1024;
/** Idle connections kept per server. */
const MAX_IDLE = 64;

export interface PlainAsk {
  headers: Record<string, string>;
  signal?: AbortSignal | undefined;
  allocate: (sizeBytes: number) => Buffer;
  /** Silence on the connection for longer than this is an error. */
  timeoutMs: number;
}

/** A response that this client does not support. Nothing of it was used; another client can repeat the request. */
export class UnusualAnswer extends Error {}
/** A body that ended before its announced length. It can be retried. */
export class TruncatedBody extends Error {}

const CLOSED = new Set(["ECONNRESET", "EPIPE"]);
const idle = new Map<string, Connection[]>();

/** One whole response. @throws UnusualAnswer, TruncatedBody, and connection errors */
export async function plainGet(target: Target, ask: PlainAsk): Promise<Reply> {
  const place = target.socketPath ?? hostOf(target);
  const waiting = idle.get(place);
  const kept = waiting?.pop();
  const connection = kept ?? new Connection(target);
  try {
    const reply = await connection.get(target, ask);
    keep(place, connection);
    return reply;
  } catch (err) {
    connection.destroy();
    // The server may have closed it just as we sent the request.
    const wasClosed = kept !== undefined && !connection.hasAnswered && CLOSED.has(errnoOf(err) ?? "");
    if (wasClosed) return plainGet(target, ask);
    throw err;
  }
}

function keep(place: string, connection: Connection): void {
  if (!connection.isReusable) return connection.destroy();
  const waiting = idle.get(place) ?? [];
  idle.set(place, waiting);
  if (waiting.length >= MAX_IDLE) return connection.destroy();
  waiting.push(connection);
  connection.rest(() => {
    const at = waiting.indexOf(connection);
    if (at >= 0) waiting.splice(at, 1);
  });
}

/** One connection, one request at a time. */
class Connection {
  readonly #socket: Socket;
  readonly #head = Buffer.allocUnsafeSlow(MAX_HEAD_BYTES);
  #headBytes = 0;
  #reply: Reply | undefined;
  #bodyBytes = 0;
  #closedAtRest = (): void => {};
  #question: { ask: PlainAsk; answer: PromiseWithResolvers<Reply> } | undefined;
  /** Part of the response to the last request has arrived. */
  hasAnswered = false;
  /** The last response leaves the connection ready for the next request. */
  isReusable = false;

  constructor({ socketPath, hostname = "localhost", port = "" }: Target) {
    const place = socketPath === undefined ? { host: hostname, port: Number(port || 80) } : { path: socketPath };
    const onread = { buffer: () => this.#room(), callback: (sizeBytes: number) => this.#take(sizeBytes) };
    this.#socket = connect({ ...place, onread });
    this.#socket.on("error", (err) => this.#fail(err));
    this.#socket.on("timeout", () => {
      this.#fail(Object.assign(new Error("No answer in time"), { code: "ETIMEDOUT" }));
    });
    this.#socket.on("close", () => {
      const isCut = this.#reply !== undefined;
      const lost = Object.assign(new Error("The connection was closed"), { code: "ECONNRESET" });
      this.#fail(isCut ? new TruncatedBody("The answer was cut off") : lost);
      this.#closedAtRest();
    });
  }

  async get(target: Target, ask: PlainAsk): Promise<Reply> {
    const answer = Promise.withResolvers<Reply>();
    this.#question = { ask, answer };
    this.#closedAtRest = () => {};
    this.hasAnswered = false;
    this.isReusable = false;
    const abort = (): void => this.#fail(ask.signal?.reason);
    if (ask.signal?.aborted) abort();
    ask.signal?.addEventListener("abort", abort, { once: true });
    const host = target.socketPath === undefined ? hostOf(target) : "localhost";
    const headers = Object.entries({ host, ...ask.headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#socket.ref();
    this.#socket.setTimeout(ask.timeoutMs);
    this.#socket.write(`GET ${target.path} HTTP/1.1\r\n${headers.join("")}\r\n`, "latin1");
    try {
      return await answer.promise;
    } finally {
      ask.signal?.removeEventListener("abort", abort);
    }
  }

  /** Waits for the next request without keeping the process alive; calls `closed` if the server ends it meanwhile. */
  rest(closed: () => void): void {
    this.#socket.setTimeout(0);
    this.#socket.unref();
    this.#closedAtRest = closed;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Memory for the next bytes: while a body arrives, the rest of it. */
  #room(): Buffer {
    return this.#reply ? this.#reply.body.subarray(this.#bodyBytes) : this.#head.subarray(this.#headBytes);
  }

  #take(sizeBytes: number): boolean {
    this.hasAnswered = true;
    if (!this.#question) {
      // Unsolicited: it must not count as the next response.
      this.#socket.destroy();
      return false;
    }
    try {
      if (this.#reply) this.#bodyBytes += sizeBytes;
      else this.#takeHead(sizeBytes, this.#question);
      if (this.#reply && this.#bodyBytes === this.#reply.body.length) this.#finish(this.#reply);
    } catch (err) {
      this.#fail(err);
    }
    return true;
  }

  #takeHead(sizeBytes: number, question: { ask: PlainAsk }): void {
    const searchFrom = Math.max(0, this.#headBytes - HEAD_END.length);
    this.#headBytes += sizeBytes;
    const came = this.#head.subarray(0, this.#headBytes);
    const end = came.indexOf(HEAD_END, searchFrom);
    if (end < 0 && came.length < MAX_HEAD_BYTES) return;
    const { status, headers, contentBytes } = parseHead(came.toString("latin1", 0, Math.max(end, 0)));
    const begun = came.subarray(end + HEAD_END.length);
    if (begun.length > contentBytes) throw new UnusualAnswer("More arrived than was announced");
    const body = question.ask.allocate(contentBytes);
    begun.copy(body);
    this.#reply = { status, headers, body };
    this.#bodyBytes = begun.length;
  }

  #finish(reply: Reply): void {
    this.#reply = undefined;
    this.#headBytes = 0;
    this.isReusable = reply.headers["connection"]?.toLowerCase() !== "close";
    this.#question?.answer.resolve(reply);
    this.#question = undefined;
  }

  #fail(reason: unknown): void {
    this.#question?.answer.reject(reason);
    this.#question = undefined;
    this.#socket.destroy();
  }
}

const hostOf = ({ hostname = "", port }: Target): string =>
  `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port || 80}`;

/** @throws UnusualAnswer */
function parseHead(text: string): Pick<Reply, "status" | "headers"> & { contentBytes: number } {
  const [statusLine = "", ...lines] = text.split("\r\n");
  const status = Number(/^HTTP\/1\.1 ([2-5]\d\d)(?: |$)/.exec(statusLine)?.[1]);
  const headers: Reply["headers"] = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const length = headers["content-length"] ?? "";
  if (Number.isNaN(status) || headers["transfer-encoding"] !== undefined || !/^\d{1,15}$/.test(length)) {
    throw new UnusualAnswer("The answer has no length");
  }
  return { status, headers, contentBytes: Number(length) };
}
