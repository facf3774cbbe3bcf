import type { IncomingMessage } from "node:http";
import type Dockerode from "dockerode";
import { CodedError, messageOf } from "../../model/errors.ts";

/** What the engine answered instead of doing what it was asked; `message` is its own text. */
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
  query?: Record<string, unknown>;
  body?: unknown;
  withinMs: number;
}

/** Calls to one engine. @throws CodedError Unavailable, EngineRefusal */
export interface Caller {
  /** The whole answer, parsed; undefined where it has no body. */
  ask<T>(this: void, call: Call): Promise<T>;
  /** An answer that is read as it comes; `withinMs` is for its beginning. */
  open(this: void, call: Call, signal: AbortSignal): Promise<IncomingMessage>;
}

/** The engine was going down while it answered; the same call may work on the next one. */
const GOING_DOWN = /context canceled|transport is closing|connection (?:refused|reset)|shutting down|grpc.*closing/i;

/** All of them: which ones are errors is decided here. */
const STATUS_CODES = Object.fromEntries(Array.from({ length: 600 }, (_, status) => [status, true]));

/**
 * The calls that the client of `docker` makes, as streams throughout: asked for a whole answer it waits for ever when the
 * engine goes away in the middle of one. `place` names the engine in errors.
 */
export function createCaller(docker: Dockerode, place: string): Caller {
  function dial({ method, path, query, body }: Call, abortSignal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      docker.modem.dial(
        {
          method,
          path: `${path}?`,
          options: { _query: query ?? {}, _body: body ?? {} },
          isStream: true,
          abortSignal,
          statusCodes: STATUS_CODES,
        },
        (err: unknown, answer: unknown) => (err instanceof Error ? reject(err) : resolve(answer as IncomingMessage)),
      );
    });
  }

  const unavailable = (cause: unknown): CodedError =>
    new CodedError("Unavailable", `The Docker engine at '${place}' does not answer: ${messageOf(cause)}`, { cause });

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

  /** @throws Error of the client, EngineRefusal, CodedError Unavailable */
  async function begin(call: Call, signal: AbortSignal): Promise<IncomingMessage> {
    const answer = await dial(call, signal);
    const { statusCode = 0 } = answer;
    if (statusCode < 400) return answer;
    const text = await textOf(answer);
    const message = wordsOf(text);
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
  };
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = "";
  answer.setEncoding("utf8");
  for await (const part of answer as AsyncIterable<string>) text += part;
  return text;
}

/** The engine's own words in the body of a refusal. */
function wordsOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === "string") return message;
  } catch {
    // Something between us and the engine answered.
  }
  return text.trim().slice(0, 500);
}
