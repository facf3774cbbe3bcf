import type { IncomingMessage } from "node:http";
import { requesterOf } from "../../buffers/access/request.ts";
import { connectionFailureOf, errnoWordsOf } from "../../model/errno.ts";
import { messageOf } from "../../model/errors.ts";
import { isSafeIssuer, isSafeUrl } from "../../model/issuer.ts";
import { doubling, retry } from "../../waiting/retry.ts";
import type { HttpHooks } from "../http/http.ts";

/** Options of all requests to an issuer. */
export interface IssuerOptions {
  onRequest?: HttpHooks["onRequest"] | undefined;
  /** Certificates to trust, as PEM, in place of the machine's. */
  ca?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** The addresses at an issuer that a client needs. */
export interface Issuer {
  tokenEndpoint: string;
  /** Undefined if there are no logins by code. */
  deviceEndpoint: string | undefined;
  /** It takes a client's secret in the header `Authorization`, which the standard prefers, and not only in the body. */
  takesBasic: boolean;
  /** Sends a form. The answer is JSON, also for a refusal. */
  post(url: string, form: Readonly<Record<string, string | undefined>>, authorization?: string): Promise<Answer>;
}

export interface Answer {
  status: number;
  body: Readonly<Record<string, unknown>>;
}

const ANSWER_MS = 20_000;
const MOST_BYTES = 1 << 20;
const TRIES = 3;

/**
 * Reads the discovery document of an issuer.
 * @throws Error when it cannot be reached, is another's, or could be changed on its way
 */
export async function openIssuer(authority: string, options: IssuerOptions): Promise<Issuer> {
  if (!isSafeIssuer(authority)) throw new Error(`the identity provider '${authority}' must have an https URL`);
  const send = (request: FormRequest): Promise<Answer> => sendAgain(authority, request, options);
  const url = `${authority.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const { status, body } = await send({ method: "GET", url });
  if (status !== 200) throw new Error(`the identity provider '${authority}' answered '${url}' with status ${status}`);
  if (body["issuer"] !== authority) {
    throw new Error(`the discovery document of '${authority}' is of the issuer '${String(body["issuer"])}'`);
  }
  const methods = body["token_endpoint_auth_methods_supported"];
  const endpoint = (name: string): string | undefined => {
    const value = body[name];
    return typeof value === "string" && isSafeUrl(value) ? value : undefined;
  };
  const tokenEndpoint = endpoint("token_endpoint");
  if (tokenEndpoint === undefined) throw new Error(`the identity provider '${authority}' has no token endpoint`);
  return {
    tokenEndpoint,
    deviceEndpoint: endpoint("device_authorization_endpoint"),
    takesBasic: !Array.isArray(methods) || methods.includes("client_secret_basic"),
    post(to, form, authorization) {
      const pairs = Object.entries(form).filter((pair): pair is [string, string] => pair[1] !== undefined);
      return send({ method: "POST", url: to, form: new URLSearchParams(pairs).toString(), authorization });
    },
  };
}

interface FormRequest {
  method: "GET" | "POST";
  url: string;
  form?: string;
  authorization?: string | undefined;
}

/** A request that cannot have had an effect, or asks us to come back, is repeated. */
async function sendAgain(authority: string, request: FormRequest, options: IssuerOptions): Promise<Answer> {
  const passes = (err: unknown): boolean =>
    err instanceof TryLater || ["noListener", "unsent"].includes(connectionFailureOf(err) ?? "");
  const { signal } = options;
  try {
    return await retry(() => sendOnce(request, options), { tries: TRIES, pauses: doubling(500, 4000), passes, signal });
  } catch (err) {
    signal?.throwIfAborted();
    if (err instanceof TryLater) return err.answer;
    const reason = errnoWordsOf(err, "connecting") ?? messageOf(err);
    throw new Error(`cannot reach the identity provider '${authority}': ${reason}`, { cause: err });
  }
}

class TryLater extends Error {
  readonly answer: Answer;

  constructor(answer: Answer) {
    super(`status ${answer.status}`);
    this.answer = answer;
  }
}

async function sendOnce({ method, url, form, authorization }: FormRequest, options: IssuerOptions): Promise<Answer> {
  const { protocol, hostname, port, pathname, search } = new URL(url);
  const target = {
    protocol: protocol === "https:" ? "https:" : "http:",
    hostname: hostname.replace(/^\[|\]$/g, ""),
    port,
    path: pathname + search,
    ca: options.ca,
  } as const;
  const shown = { Accept: "application/json", ...(form !== undefined && { "Content-Type": FORM }) };
  options.onRequest?.({ method, url: new URL(url), headers: shown });
  const headers = {
    ...shown,
    ...(form !== undefined && { "Content-Length": Buffer.byteLength(form) }),
    ...(authorization !== undefined && { Authorization: authorization }),
  };
  const begin = await requesterOf(target);
  const late = AbortSignal.timeout(ANSWER_MS);
  const signal = options.signal ? AbortSignal.any([late, options.signal]) : late;
  const answer = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    begin({ method, headers, signal })
      .on("error", reject)
      .on("response", (response) => {
        const status = response.statusCode ?? 0;
        textOf(response).then((text) => resolve({ status, text }), reject);
      })
      .end(form);
  }).catch((err: unknown) => {
    throw late.aborted ? new Error(`it did not answer within ${ANSWER_MS / 1000} s`) : err;
  });
  const read = { status: answer.status, body: objectIn(answer.text) };
  if (read.status === 429 || read.status >= 500) throw new TryLater(read);
  return read;
}

const FORM = "application/x-www-form-urlencoded";

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MOST_BYTES) throw new Error("its answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** An answer that is not JSON, for example of a proxy, has no fields. */
function objectIn(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
