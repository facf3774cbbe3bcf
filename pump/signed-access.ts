import type { BlobSource } from "../buffers/format/blobs.ts";
import type { AccessOptions } from "../client/buffers.ts";
import { accessTo } from "../client/transfers.ts";
import { CodedError } from "../model/errors.ts";
import { isRecord, isText } from "../model/run/parse.ts";
import { isRefusal, type AskApi } from "./api-client.ts";

export interface AccessRequest {
  bufferId: string;
  writeable: boolean;
  /** A TimeSpan. */
  ttl: string;
  signal: AbortSignal;
}

/**
 * A buffer behind signed URLs, for which the pump asks the API until it answers or `signal` is aborted; after that, for a few
 * seconds. The blobs throw CodedError NotFound or InvalidInput when the API refuses.
 */
export const signedBlobs = (ask: AskApi, { bufferId, writeable, ttl, signal }: AccessRequest): BlobSource =>
  accessTo({ access: (id, options) => urlOf(ask, id, options) }, bufferId, { writeable, ttl, signal });

async function urlOf(ask: AskApi, id: string, { writeable, ttl, signal }: AccessOptions = {}): Promise<string> {
  const path = `/buffers/${encodeURIComponent(id)}/access`;
  try {
    return await ask({ method: "POST", path, query: { ttl, writeable }, signal }, uriIn);
  } catch (err) {
    if (!isRefusal(err)) throw err;
    if (err.code === "NotFound") throw new CodedError("NotFound", "the buffer does not exist", { cause: err });
    throw new CodedError("InvalidInput", `The API refused access: ${err.message}`, { cause: err });
  }
}

const uriIn = (answer: unknown): string | undefined =>
  isRecord(answer) && isText(answer["uri"]) ? answer["uri"] : undefined;
