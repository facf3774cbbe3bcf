import { readFileSync } from "node:fs";
import { parseServerUrl } from "../client/address.ts";
import { ServerError } from "../client/errors.ts";
import { createHttp, type ApiRequest } from "../client/http/http.ts";
import { messageOf } from "../model/errors.ts";
import type { PumpApi } from "../model/run/pump.ts";
import { doubling, retry } from "../waiting/retry.ts";
import { type Journal, sometimes } from "./journal.ts";

/** However long the API is away, only the run's own deadline ends the retries. Its pumps do not return all at once. */
const pauses = doubling(50, 2000, 0.5);

/** Our API's own refusals. Anything else, also an error of a proxy or of an older API, can pass. */
const REFUSALS: ReadonlySet<string> = new Set([
  "AuthenticationFailed",
  "Conflict",
  "Forbidden",
  "InvalidInput",
  "NotFound",
]);

/** Sends a request about this pump until our API has answered it, and gives the answer. @throws ServerError of a refusal */
export type AskApi = (request: Omit<ApiRequest, "headers">, waitSeconds?: number) => Promise<unknown>;

/** The API as the pump of one replica reaches it: the token is in no argument, no URL and no log. */
export function connectApi({ url, path, tokenFile }: PumpApi, journal: Journal): AskApi {
  const token = readFileSync(tokenFile, "utf8").trim();
  const http = createHttp(parseServerUrl(url), { retry: false });
  const complain = sometimes((reason) => journal("warn", "retrying a request to the API", { reason }));
  return (request, waitSeconds) => {
    const headers = {
      Authorization: `Bearer ${token}`,
      ...(waitSeconds !== undefined && { Prefer: `wait=${waitSeconds}` }),
    };
    const ask = async () => (await http.json<unknown>({ ...request, path: path + request.path, headers })).value;
    return retry(ask, {
      pauses,
      signal: request.signal,
      passes: (err) => !isRefusal(err),
      onRetry: (err) => complain(messageOf(err)),
    });
  };
}

export const isRefusal = (err: unknown): err is ServerError => err instanceof ServerError && REFUSALS.has(err.code);
