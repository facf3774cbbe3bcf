import { readFile, stat } from "node:fs/promises";
import { isUrl } from "../../client/transfers.ts";
import { fromFile, fromUrl } from "../../buffers/access/access.ts";
import { blobsOver } from "../../buffers/access/blob-client.ts";
import type { BlobSource } from "../../buffers/format/blobs.ts";

/** A file that holds an access URL is smaller than this. */
const MAX_FILE_BYTES = 2048;

/**
 * The access that the argument of `buffer read` and `buffer write` itself contains: a URL, or a file with one.
 * Undefined for anything else, which is then a buffer id.
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
