import { readFile, stat } from "node:fs/promises";
import { CodedError } from "../../model/errors.ts";
import { fromFile, fromServer, fromUrl } from "../../buffers/access/access.ts";
import { blobsOver } from "../../buffers/access/blob-client.ts";
import type { BlobSource } from "../../buffers/format/blobs.ts";
import type { Client } from "../server/client.ts";
import { ServerError } from "../server/client-errors.ts";

export interface AccessWish {
  writeable: boolean;
  /** TimeSpan as the server takes it. */
  ttl?: string | undefined;
}

/** Asks the server for a signed URL of the buffer. */
export async function requestAccess(client: Client, bufferId: string, wish: AccessWish): Promise<string> {
  const { value } = await client.json<{ uri: string }>({
    method: "POST",
    path: `/buffers/${encodeURIComponent(bufferId)}/access`,
    query: { ttl: wish.ttl, writeable: wish.writeable },
    isRepeatable: true,
  });
  return value.uri;
}

/** The access to a buffer by its id, renewed by the server when it has expired. */
export function serverAccess(client: Client, bufferId: string, wish: AccessWish): BlobSource {
  const access = fromServer(async () => {
    try {
      return await requestAccess(client, bufferId, wish);
    } catch (err) {
      // The one refusal that no waiting mends.
      if (err instanceof ServerError && err.status === 404) {
        throw new CodedError("NotFound", err.message, { cause: err });
      }
      throw err;
    }
  });
  return blobsOver(access);
}

/** A file that holds an access URL is smaller than this. */
const MAX_FILE_BYTES = 2048;

/**
 * The access that the argument of `buffer read` and `buffer write` means by itself: a URL, or a file with one.
 * Undefined for anything else, which is a buffer id then.
 */
export async function directAccess(argument: string): Promise<BlobSource | undefined> {
  if (isUrl(argument)) return blobsOver(fromUrl(argument));
  try {
    const file = await stat(argument);
    if (!file.isFile() || file.size >= MAX_FILE_BYTES) return undefined;
    return isUrl((await readFile(argument, "utf8")).trim()) ? blobsOver(fromFile(argument)) : undefined;
  } catch {
    return undefined;
  }
}

const isUrl = (text: string): boolean => /^(?:https?|http\+unix):\/\//i.test(text) && URL.canParse(text);
