import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { within } from "../../waiting/bounded.ts";
import { Stalled } from "./failures.ts";

export interface Call {
  method: "GET" | "POST" | "DELETE";
  /** With its query, below the endpoint. */
  path: string;
  headers?: Record<string, string> | undefined;
  /** Pieces with a known length in all, or a stream without. */
  body?: readonly Uint8Array[] | AsyncIterable<Uint8Array> | undefined;
}

export interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  /** Must be read to the end, or left by `break`, which gives the connection up. @throws Error when it breaks off */
  body: AsyncIterable<Uint8Array>;
}

/** Sends one request, once. @throws the error of the connection, or of the body */
export type Send = (call: Call) => Promise<Answer>;

/** A server that takes or sends nothing for so long has stalled. */
const STALL_MS = 30_000;

/**
 * Requests to `endpoint` on connections that are kept. They are our own, because those of the package leave a connection open
 * for good when an upload is given up, cut all downloads when one breaks off, and wait without a limit.
 * @see docs/decisions/0165-requests-to-a-bucket.md
 */
export function connectTo(endpoint: string, stallMs = STALL_MS): Send {
  const { protocol, hostname, port, pathname } = new URL(endpoint);
  const isTls = protocol === "https:";
  const agent = isTls ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
  const start = isTls ? httpsRequest : httpRequest;
  const base = pathname.replace(/\/+$/, "");
  const host = hostname.replace(/^\[|\]$/g, "");

  return async ({ method, path, headers, body }) => {
    const length = isPieces(body) ? { "content-length": body.reduce((sum, { length: bytes }) => sum + bytes, 0) } : {};
    const sending = start({ agent, host, port, method, path: base + path, headers: { ...length, ...headers } });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      sending.once("response", resolve);
      sending.on("error", reject);
    });
    answered.catch(() => undefined); // Reported below, unless the body fails first.
    try {
      const isSent = await sendBody(sending, body ?? [], answered, stallMs);
      const response = await within(stallMs, answered, stalled);
      // The rest of a body that was refused would be taken for the next request.
      if (!isSent) response.once("end", () => sending.destroy());
      return {
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: bodyOf(response, stallMs),
      };
    } catch (err) {
      sending.destroy();
      throw err;
    }
  };
}

const isPieces = (body: Call["body"]): body is readonly Uint8Array[] => Array.isArray(body);

/** False when the server answered before it had all. A slow source does not count as a stall. */
async function sendBody(
  sending: ClientRequest,
  body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  answered: Promise<IncomingMessage>,
  stallMs: number,
): Promise<boolean> {
  let isAnswered = false;
  const leave = (): void => {
    isAnswered = true;
  };
  void answered.then(leave, leave);
  for await (const piece of body) {
    if (isAnswered) return false;
    if (sending.write(piece)) continue;
    const drained = new Promise<void>((resolve) => sending.once("drain", resolve));
    await within(stallMs, Promise.race([drained, answered]), stalled);
  }
  sending.end();
  return true;
}

async function* bodyOf(response: IncomingMessage, stallMs: number): AsyncGenerator<Uint8Array, void> {
  const pieces = (response as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { value, done } = await within(stallMs, pieces.next(), stalled);
      if (done) return;
      yield value;
    }
  } finally {
    // Of no effect on one that was read to its end.
    if (!response.complete || !response.readableEnded) response.destroy();
  }
}

const stalled = (): Error => new Stalled("it stopped answering");
