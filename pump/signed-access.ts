import { CodedError, messageOf } from "../model/errors.ts";
import type { BlobSource } from "../buffers/format/blobs.ts";
import { parseServerUrl } from "../client/address.ts";
import { createClient } from "../client/client.ts";
import { ServerError, UnexpectedStatusError } from "../client/errors.ts";
import type { AccessOptions } from "../client/buffers.ts";
import { accessTo } from "../client/transfers.ts";
import { doubling } from "../waiting/retry.ts";
import { type Journal, sometimes } from "./journal.ts";

/** However long the API is unreachable, only the run's own deadline ends the retries. */
const pauses = doubling(50, 2000);

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

/**
 * A buffer behind signed URLs. Requests them from the API until it responds or `signal` is aborted; after that, it tries
 * once. The blobs throw CodedError NotFound or InvalidInput when the API refuses.
 */
export function signedBlobs(place: SignedPlace, { bufferId, writeable, signal, journal }: AccessRequest): BlobSource {
  const complain = sometimes((reason) => journal("warn", "retrying a request to the API", { bufferId, reason }));
  const { buffers } = createClient(parseServerUrl(place.apiUrl), {
    retry: (_failure, { count }) => (signal.aborted ? undefined : pauses(count, undefined)),
    onRetry: (reason) => complain("status" in reason ? String(reason.status) : messageOf(reason.error)),
  });
  const access = (id: string, options?: AccessOptions): Promise<string> => buffers.access(id, options).catch(refuse);
  return accessTo({ access }, bufferId, { writeable, ttl: place.accessTtl, signal });
}

function refuse(err: unknown): never {
  if (!(err instanceof ServerError || err instanceof UnexpectedStatusError)) throw err;
  if (err.status === 404) throw new CodedError("NotFound", "the buffer does not exist", { cause: err });
  if (err.status >= 500 || err.status === 429) throw err;
  throw new CodedError("InvalidInput", `The API refused access: ${err.message}`, { cause: err });
}
