import { connect, type Socket } from "node:net";
import { errnoOf } from "../../model/errors.ts";
import type { Reply } from "./http.ts";
import type { Target } from "./request.ts";

/**
 * GET over connections of our own: what a blob's bytes cost a reader is its speed. The runtime's HTTP client copies each
 * piece of a body twice on its way, into memory that is new each time; here the kernel puts the bytes where they belong.
 * Only answers of a known length over plain HTTP/1.1, as the data plane gives them.
 */

const HEAD_END = Buffer.from("\r\n\r\n");
const MAX_HEAD_BYTES = 64 * 1024;
/** Connections that wait for their next request, for each place. */
const MAX_IDLE = 64;

export interface PlainAsk {
  headers: Record<string, string>;
  signal?: AbortSignal | undefined;
  allocate: (sizeBytes: number) => Buffer;
  /** Silence on the connection for longer than this is an error. */
  timeoutMs: number;
}

/** An answer that is not for this client. Nothing of it was used; asking in another way may help. */
export class UnusualAnswer extends Error {}
/** A body that ended before its announced length. Worth another try. */
export class TruncatedBody extends Error {}

const CLOSED = new Set(["ECONNRESET", "EPIPE"]);
const idle = new Map<string, Connection[]>();

/** One answer, whole. @throws UnusualAnswer, TruncatedBody, and what the connection throws */
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
    // The other side may have closed it just as we asked.
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

/** One connection, one question at a time. */
class Connection {
  readonly #socket: Socket;
  readonly #head = Buffer.allocUnsafeSlow(MAX_HEAD_BYTES);
  #headBytes = 0;
  #reply: Reply | undefined;
  #bodyBytes = 0;
  #closedAtRest = (): void => {};
  #question: { ask: PlainAsk; answer: PromiseWithResolvers<Reply> } | undefined;
  /** Some of the answer to the last question has come. */
  hasAnswered = false;
  /** The last answer leaves the connection ready for the next question. */
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

  /** Waits for the next question, in nobody's way; `closed` is called if the other side ends it meanwhile. */
  rest(closed: () => void): void {
    this.#socket.setTimeout(0);
    this.#socket.unref();
    this.#closedAtRest = closed;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Where the next bytes go: while a body comes, to their place in it. */
  #room(): Buffer {
    return this.#reply ? this.#reply.body.subarray(this.#bodyBytes) : this.#head.subarray(this.#headBytes);
  }

  #take(sizeBytes: number): boolean {
    this.hasAnswered = true;
    if (!this.#question) {
      // Nobody asked: it must not pass for the next answer.
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
    if (begun.length > contentBytes) throw new UnusualAnswer("More came than was asked for");
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
