import type { IncomingMessage } from "node:http";

/** An answer of the server that says no, in its own words. */
export class ServerError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(`${code}: ${message}`);
    this.name = "ServerError";
    this.status = status;
    this.code = code;
  }
}

/** An answer that says no without words of its own. */
export class UnexpectedStatusError extends Error {
  readonly status: number;

  constructor(status: number, reason: string) {
    super(`unexpected status code ${status} ${reason}`.trimEnd());
    this.name = "UnexpectedStatusError";
    this.status = status;
  }
}

type Fields = { code?: unknown; message?: unknown };

const MAX_ERROR_BYTES = 1 << 20;

/** The error that a response of status 400 or more stands for. */
export async function errorOf(response: IncomingMessage): Promise<ServerError | UnexpectedStatusError> {
  const status = response.statusCode ?? 0;
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_ERROR_BYTES) break;
      chunks.push(chunk);
    }
    const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as { error?: Fields } | null;
    const { code, message } = body?.error ?? {};
    if (typeof code === "string" && typeof message === "string") return new ServerError(status, code, message);
  } catch {
    // The status is all there is.
  }
  return new UnexpectedStatusError(status, response.statusMessage ?? "");
}

const CONNECTION_CODES = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOENT",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EAI_AGAIN",
  "ENOTFOUND",
]);

/** The code of a failure to reach the server or of a connection that broke; undefined for other errors. */
export function connectionCodeOf(err: unknown): string | undefined {
  if (!(err instanceof Error) || !("code" in err) || typeof err.code !== "string") return undefined;
  return CONNECTION_CODES.has(err.code) ? err.code : undefined;
}
