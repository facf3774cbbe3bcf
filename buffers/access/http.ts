import { plainGet, TruncatedBody, UnusualAnswer } from "./plain-get.ts";
import type { IncomingHttpHeaders } from "node:http";
import { requesterOf, type Target } from "./request.ts";

/** @throws TypeError unless `url` is an absolute http, https or http+unix URL. */
export function targetOf(url: string, ca?: string): Target {
  const parsed = new URL(url);
  if (parsed.protocol === "http+unix:") {
    const [socketPath = "", ...rest] = decodeURIComponent(parsed.pathname).split(":");
    return { socketPath, protocol: "http:", path: `${rest.join(":") || "/"}${parsed.search}` };
  }
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") throw new TypeError(`Not an HTTP URL: '${url}'`);
  return {
    protocol: parsed.protocol,
    // Without the brackets of an IPv6 address, which only a URL has.
    hostname: parsed.hostname.replace(/^\[|\]$/g, ""),
    port: parsed.port,
    path: `${parsed.pathname}${parsed.search}`,
    ca,
  };
}

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface Ask {
  method: string;
  headers?: Record<string, string>;
  body?: Uint8Array;
  signal?: AbortSignal | undefined;
  /** Provides memory for a body of known length; by default a new buffer. */
  allocate?: ((sizeBytes: number) => Buffer) | undefined;
  /** Silence on the connection for longer than this is an error. */
  timeoutMs: number;
}

const newBuffer = (sizeBytes: number): Buffer => Buffer.allocUnsafeSlow(sizeBytes);

/** Sends one request and reads the whole response into one buffer of the announced length. @throws connection errors */
export async function ask(target: Target, question: Ask): Promise<Reply> {
  const { method, headers = {}, signal, timeoutMs, allocate = newBuffer } = question;
  if (method === "GET" && target.protocol === "http:") {
    try {
      return await plainGet(target, { headers, signal, timeoutMs, allocate });
    } catch (err) {
      if (!(err instanceof UnusualAnswer)) throw err;
    }
  }
  return askAny(target, question);
}

async function askAny(
  target: Target,
  { method, headers, body, signal, timeoutMs, allocate = newBuffer }: Ask,
): Promise<Reply> {
  const begin = await requesterOf(target);
  return new Promise((resolve, reject) => {
    const sending = begin({
      method,
      headers: { ...headers, "content-length": body?.byteLength ?? 0 },
      signal,
      timeoutMs,
    });
    sending.once("error", reject);
    sending.once("timeout", () => {
      const silence = new Error(`No answer within ${timeoutMs / 1000} s`);
      // Like any other connection failure, it can be retried.
      sending.destroy(Object.assign(silence, { code: "ETIMEDOUT" }));
    });
    sending.once("response", (response) => {
      const expected = method === "HEAD" ? 0 : Number(response.headers["content-length"] ?? Number.NaN);
      const chunks: Buffer[] = [];
      const whole = Number.isNaN(expected) ? undefined : allocate(expected);
      let received = 0;
      response.on("data", (chunk: Buffer) => {
        if (whole === undefined) chunks.push(chunk);
        else chunk.copy(whole, received);
        received += chunk.byteLength;
      });
      response.once("error", reject);
      response.once("close", () => {
        if (!response.complete) return reject(new TruncatedBody("The answer was cut off"));
        const { statusCode: status = 0, headers: replyHeaders } = response;
        return resolve({ status, headers: replyHeaders, body: whole ?? Buffer.concat(chunks) });
      });
    });
    sending.end(body);
  });
}
