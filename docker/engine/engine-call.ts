import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { errnoWordsOf } from "../../model/errno.ts";
import { CodedError, messageOf } from "../../model/errors.ts";
import type { EngineAddress } from "./engine-address.ts";

/** The engine's refusal of a request; `message` is its own text. */
export class EngineRefusal extends Error {
  readonly statusCode: number;

  constructor(statusCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "EngineRefusal";
    this.statusCode = statusCode;
  }
}

export interface Call {
  method: "GET" | "POST" | "DELETE";
  path: string;
  /** A list repeats its name; an object is sent as JSON. */
  query?: Readonly<Record<string, unknown>>;
  /** Sent as JSON. */
  body?: object;
  /** A tar archive, instead of `body`. */
  archive?: Readable;
  withinMs: number;
}

/** Calls to one engine. @throws CodedError Unavailable, EngineRefusal */
export interface Caller {
  /** The whole answer, parsed; undefined if it has no body. */
  ask<T>(this: void, call: Call): Promise<T>;
  /** An answer that is read as it arrives; `withinMs` limits the time to its start. */
  open(this: void, call: Call, signal?: AbortSignal): Promise<IncomingMessage>;
  /** The error of a connection that failed while an answer was read. */
  unavailable(this: void, cause: unknown): CodedError;
}

/** The engine was going down while it answered; the same call may work on the next one. */
const GOING_DOWN = /context canceled|transport is closing|connection (?:refused|reset)|shutting down|grpc.*closing/i;

/**
 * Calls to the engine at `address`, with a connection each: on a stale kept-alive connection a call would fail that must not
 * be repeated.
 */
export function createCaller(address: EngineAddress): Caller {
  const unavailable = (cause: unknown): CodedError => {
    const reason = errnoWordsOf(cause, "connecting") ?? messageOf(cause);
    return new CodedError("Unavailable", `The Docker engine at '${address.host}' does not answer: ${reason}`, {
      cause,
    });
  };

  /** Gives `work` a signal that is aborted when its time is up, or with `outer`. */
  async function within<T>(ms: number, outer: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>) {
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(new Error(`no answer within ${ms / 1000} s`)), ms);
    try {
      return await work(outer ? AbortSignal.any([outer, deadline.signal]) : deadline.signal);
    } catch (err) {
      if (err instanceof EngineRefusal || err instanceof CodedError) throw err;
      throw unavailable(deadline.signal.aborted ? deadline.signal.reason : err);
    } finally {
      clearTimeout(timer);
    }
  }

  /** @throws Error of the connection, EngineRefusal, CodedError Unavailable */
  async function begin(call: Call, signal: AbortSignal): Promise<IncomingMessage> {
    const answer = await dial(address, call, signal);
    const { statusCode = 0 } = answer;
    if (statusCode < 400) return answer;
    const text = await textOf(answer);
    const own = engineWordsIn(text);
    const message = own ?? (text.trim().slice(0, 500) || `status ${statusCode}`);
    if (statusCode === 404 && own === undefined) throw unavailable(new Error(`another program answered: ${message}`));
    const isPassing = statusCode === 503 || (statusCode === 500 && GOING_DOWN.test(message));
    throw isPassing ? unavailable(new Error(message)) : new EngineRefusal(statusCode, message);
  }

  return {
    ask: <T>(call: Call) =>
      within(call.withinMs, undefined, async (signal) => {
        const text = await textOf(await begin(call, signal));
        return (text.trim() === "" ? undefined : JSON.parse(text)) as T;
      }),
    open: (call, signal) => within(call.withinMs, signal, (either) => begin(call, either)),
    unavailable,
  };
}

async function dial(address: EngineAddress, call: Call, signal: AbortSignal): Promise<IncomingMessage> {
  const request = address.isTls ? (await import("node:https")).request : httpRequest;
  const { method, path, query = {}, body, archive } = call;
  const search = searchOf(query);
  const json = body === undefined ? undefined : JSON.stringify(body);
  const type = archive ? "application/x-tar" : "application/json";
  const headers = {
    ...((archive ?? json) !== undefined && { "content-type": type }),
    ...(json !== undefined && { "content-length": String(Buffer.byteLength(json)) }),
  };
  const full = search === "" ? path : `${path}?${search}`;
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...address.connection, agent: false, method, path: full, headers, signal }, resolve);
    outgoing.on("error", reject);
    if (archive) archive.once("error", (err) => outgoing.destroy(err)).pipe(outgoing);
    else outgoing.end(json);
  });
}

function searchOf(query: Readonly<Record<string, unknown>>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) search.append(name, typeof one === "string" ? one : JSON.stringify(one));
    }
  }
  return search.toString();
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = "";
  answer.setEncoding("utf8");
  for await (const part of answer as AsyncIterable<string>) text += part;
  return text;
}

/** The message in the body of an engine's refusal; undefined when it is not an engine's, but that of a proxy. */
function engineWordsIn(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === "string" ? message : undefined;
  } catch {
    return undefined;
  }
}
