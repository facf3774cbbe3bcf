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

/**
 * Sends a request about this pump until our API has answered it, and gives the answer as `parse` reads it. One that it cannot
 * read, for which it gives undefined, is that of another program, and is asked for again. @throws ServerError of a refusal
 */
export type AskApi = <T>(
  request: Omit<ApiRequest, "headers">,
  parse: (answer: unknown) => T | undefined,
  waitSeconds?: number,
) => Promise<T>;

/** The API as the pump of one replica reaches it: the token is in no argument, no URL and no log. */
export function connectApi({ url, path, tokenFile }: PumpApi, journal: Journal): AskApi {
  const token = readFileSync(tokenFile, "utf8").trim();
  const http = createHttp(parseServerUrl(url), { retry: false });
  const complain = sometimes((reason) => journal("warn", "retrying a request to the API", { reason }));
  return (request, parse, waitSeconds) => {
    const headers = {
      Authorization: `Bearer ${token}`,
      ...(waitSeconds !== undefined && { Prefer: `wait=${waitSeconds}` }),
    };
    const ask = async () => {
      const answer = parse((await http.json<unknown>({ ...request, path: path + request.path, headers })).value);
      if (answer === undefined) throw new Error("The answer is not one of our API");
      return answer;
    };
    return retry(ask, {
      pauses,
      signal: request.signal,
      passes: (err) => !isRefusal(err),
      onRetry: (err) => complain(messageOf(err)),
    });
  };
}

export const isRefusal = (err: unknown): err is ServerError => err instanceof ServerError && REFUSALS.has(err.code);
