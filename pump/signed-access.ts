import { setTimeout as sleep } from "node:timers/promises";
import { CodedError, messageOf } from "../model/errors.ts";
import { fromServer } from "../buffers/access/access.ts";
import { blobsOver } from "../buffers/access/blob-client.ts";
import type { BlobSource } from "../buffers/format/blobs.ts";
import { ask, targetOf } from "../buffers/access/http.ts";
import { type Journal, sometimes } from "./journal.ts";

const ANSWER_MS = 30_000;
/** What is left to say when all is lost: it must not hold up the end. */
const LAST_WORDS_MS = 3000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;

export interface SignedPlace {
  apiUrl: string;
  accessTtl: string;
}

export interface AccessRequest {
  bufferId: string;
  writeable: boolean;
  signal: AbortSignal;
  journal: Journal;
}

/** A buffer behind signed URLs, for which the API is asked when one is needed or has expired. */
export const signedBlobs = (place: SignedPlace, request: AccessRequest): BlobSource =>
  blobsOver(fromServer(() => requestAccess(place, request)));

/** A fresh URL, asked for until the API answers or `signal` is aborted. @throws CodedError NotFound, InvalidInput */
async function requestAccess(
  { apiUrl, accessTtl }: SignedPlace,
  { bufferId, writeable, signal, journal }: AccessRequest,
): Promise<string> {
  const query = new URLSearchParams({
    "api-version": "1.0",
    writeable: String(writeable),
    ttl: accessTtl,
  });
  const url = `${apiUrl.replace(/\/$/, "")}/buffers/${encodeURIComponent(bufferId)}/access?${query.toString()}`;
  const complain = sometimes((reason) => journal("warn", "the API is asked again", { bufferId, reason }));
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    let reason: string;
    try {
      // Also when all is lost there is one try: the failed end mark may need a URL.
      const limit = signal.aborted ? { timeoutMs: LAST_WORDS_MS } : { timeoutMs: ANSWER_MS, signal };
      const { status, body } = await ask(targetOf(url), { method: "POST", ...limit });
      if (status === 201) return uriOf(body);
      reason = `${status} ${body.toString("utf8", 0, 300)}`;
      if (status === 404) throw new CodedError("NotFound", "the buffer does not exist");
      if (status < 500 && status !== 429) throw new CodedError("InvalidInput", `The API refused access: ${reason}`);
    } catch (err) {
      if (err instanceof CodedError || signal.aborted) throw err;
      reason = messageOf(err);
    }
    complain(reason);
    await sleep(pauseMs, undefined, { signal });
  }
}

function uriOf(body: Buffer): string {
  const answer: unknown = JSON.parse(body.toString());
  const uri = typeof answer === "object" && answer !== null && "uri" in answer ? answer.uri : undefined;
  if (typeof uri !== "string") throw new Error("The API answered without a URL");
  return uri;
}
