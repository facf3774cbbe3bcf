import type { Bucket } from "./bucket.ts";
import { googleCredentials, noCredentials } from "./credentials.ts";
import { connectTo } from "./http.ts";
import { requestsTo } from "./json-api.ts";
import { createBucket, type BucketRetries } from "./retries.ts";

const GOOGLE = "https://storage.googleapis.com";

export interface BucketOptions extends BucketRetries {
  bucket: string;
  /** That of an emulator (http), or of Google in a private network (https). */
  endpoint?: string | undefined;
  /** How long the server can be silent. */
  stallMs?: number;
}

/** Opens a bucket; nothing is asked yet. */
export function openBucket({ bucket, endpoint = GOOGLE, stallMs, ...retries }: BucketOptions): Bucket {
  const credentials = endpoint.startsWith("https:") ? googleCredentials() : noCredentials;
  return createBucket(bucket, requestsTo(bucket, connectTo(endpoint, stallMs), credentials), retries);
}
