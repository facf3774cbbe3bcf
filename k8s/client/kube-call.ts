import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Duplex } from "node:stream";
import { errnoWordsOf } from "../../model/errno.ts";
import { CodedError, messageOf } from "../../model/errors.ts";
import { doubling, retry } from "../../waiting/retry.ts";
import type { KubeAddress } from "./kube-address.ts";
import type { ServerClock } from "./server-clock.ts";

/** The API server's refusal of a request; `message` is its own text. */
export class KubeRefusal extends Error {
  readonly statusCode: number;
  /** `NotFound`, `AlreadyExists`, `Conflict`, `Expired`, …: its reason, for programs. */
  readonly reason: string;

  constructor(statusCode: number, reason: string, message: string) {
    super(message);
    this.name = "KubeRefusal";
    this.statusCode = statusCode;
    this.reason = reason;
  }
}

export interface Call {
  method: "GET" | "POST" | "DELETE" | "PATCH";
  path: string;
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  body?: unknown;
  /** Of the body; by default `application/json`. */
  contentType?: string;
  accept?: string;
}

/** Calls to one API server. Each can be repeated. @throws CodedError Unavailable, KubeRefusal */
export interface Caller {
  /** As in {@link KubeAddress}. */
  server: string;
  /** The whole answer, parsed. A failure that can pass is tried again for a few seconds. */
  ask<T>(this: void, call: Call): Promise<T>;
  /** An answer that is read as it arrives. */
  open(this: void, call: Call, signal: AbortSignal): Promise<IncomingMessage>;
  /** The error of a connection that failed while an answer was read. */
  unavailable(this: void, cause: unknown): CodedError;
}

const ANSWER_MS = 30_000;
const TRIES = 4;
const PAUSES = doubling(100, 1000, 0.5);
/** Too many requests, and the server's own failures, of which a timeout is one. */
const PASSING: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

export function createCaller(address: KubeAddress, clock: Pick<ServerClock, "hear">): Caller {
  const unavailable = (cause: unknown): CodedError => {
    if (cause instanceof CodedError) return cause;
    const reason = errnoWordsOf(cause, "connecting") ?? messageOf(cause);
    const text = `The Kubernetes cluster at '${address.server}' does not answer: ${reason}`;
    return new CodedError("Unavailable", text, { cause });
  };

  async function within<T>(outer: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(new Error(`no answer within ${ANSWER_MS / 1000} s`)), ANSWER_MS);
    try {
      return await work(outer ? AbortSignal.any([outer, deadline.signal]) : deadline.signal);
    } catch (err) {
      if (err instanceof KubeRefusal || err instanceof CodedError) throw err;
      throw unavailable(deadline.signal.aborted ? deadline.signal.reason : err);
    } finally {
      clearTimeout(timer);
    }
  }

  async function begin(call: Call, signal: AbortSignal): Promise<IncomingMessage> {
    const answer = await dial(address, call, signal);
    const { statusCode = 0, headers } = answer;
    clock.hear(headers.date);
    if (statusCode < 400) return answer;
    const refusal = refusalOf(statusCode, await textOf(answer));
    throw PASSING.has(statusCode) ? unavailable(refusal) : refusal;
  }

  return {
    server: address.server,
    ask: <T>(call: Call) =>
      retry(() => within(undefined, async (signal) => JSON.parse(await textOf(await begin(call, signal))) as T), {
        pauses: PAUSES,
        tries: TRIES,
        passes: (err) => err instanceof CodedError,
      }),
    open: (call, signal) =>
      within(signal, async (either) => {
        const answer = await begin(call, either);
        // Its reader gets errors by reading; one that has stopped, or that has not begun, is not there for an abort.
        answer.on("error", () => undefined);
        return answer;
      }),
    unavailable,
  };
}

async function dial(address: KubeAddress, call: Call, signal: AbortSignal): Promise<IncomingMessage> {
  const { method, path, query = {}, body, contentType = "application/json", accept = "application/json" } = call;
  const { path: base, headers, ...options } = await address.options();
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.append(name, String(value));
  const json = body === undefined ? undefined : JSON.stringify(body);
  const allHeaders: OutgoingHttpHeaders = {
    ...(headers as OutgoingHttpHeaders | undefined),
    accept,
    ...(json === undefined ? {} : { "content-type": contentType, "content-length": Buffer.byteLength(json) }),
  };
  const full = `${base ?? ""}${path}${search.size > 0 ? `?${search.toString()}` : ""}`;
  const request = options.protocol === "http:" ? httpRequest : httpsRequest;
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...options, method, path: full, headers: allHeaders, signal }, resolve);
    outgoing.on("error", reject);
    outgoing.on("socket", listenOnce);
    outgoing.end(json);
  });
}

const listened = new WeakSet<Duplex>();

/**
 * Between an answer and the next request a kept connection has no listener of Node's own for a moment: an abort in it would be an
 * uncaught error.
 */
function listenOnce(socket: Duplex): void {
  if (listened.has(socket)) return;
  listened.add(socket);
  socket.on("error", () => undefined);
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of answer as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

function refusalOf(statusCode: number, text: string): KubeRefusal {
  try {
    const { reason, message } = JSON.parse(text) as { reason?: unknown; message?: unknown };
    if (typeof message === "string") {
      return new KubeRefusal(statusCode, typeof reason === "string" ? reason : "", message);
    }
  } catch {
    // Not the API server's own words, but a proxy's.
  }
  return new KubeRefusal(statusCode, "", text.trim().slice(0, 500) || `status ${statusCode}`);
}
