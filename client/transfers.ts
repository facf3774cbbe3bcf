import { CodedError } from "../model/errors.ts";
import { fromServer, fromUrl } from "../buffers/access/access.ts";
import { blobsOver } from "../buffers/access/blob-client.ts";
import type { BlobSource } from "../buffers/format/blobs.ts";
import type { AccessOptions, Buffers } from "./buffers.ts";
import { ServerError, UnexpectedStatusError } from "./errors.ts";

export { readBuffer } from "../buffers/format/reader.ts";
export { writeBuffer } from "../buffers/format/writer.ts";

/** Bytes as programs have them. A chunk of a stream must not change until the next one is asked for. */
export type Content = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | Uint8Array | string;

/** The failed end mark of a transfer that was aborted may need a URL: it gets this long. */
const LAST_WORDS_MS = 3000;

/** The blobs of the buffer that `target` names, an id or a signed URL; the URL for an id is renewed when it expires. */
export function accessTo(
  buffers: Pick<Buffers, "access">,
  target: string,
  { writeable, ttl, signal, ca }: AccessOptions & { ca?: string | undefined },
): BlobSource {
  if (isUrl(target)) return blobsOver(fromUrl(target), ca);
  const ask = async (): Promise<string> => {
    try {
      const limit = signal?.aborted ? AbortSignal.timeout(LAST_WORDS_MS) : signal;
      return await buffers.access(target, { writeable, ttl, signal: limit });
    } catch (err) {
      // The one refusal that no waiting mends.
      if ((err instanceof ServerError || err instanceof UnexpectedStatusError) && err.status === 404) {
        throw new CodedError("NotFound", err.message, { cause: err });
      }
      throw err;
    }
  };
  return blobsOver(fromServer(ask), ca);
}

/** Whether `text` is a signed URL and not the id of a buffer. */
export const isUrl = (text: string): boolean => /^(?:https?|http\+unix):\/\//i.test(text) && URL.canParse(text);

/** `content` as chunks. */
export async function* chunksIn(content: Content): AsyncGenerator<Uint8Array> {
  if (typeof content === "string") yield Buffer.from(content);
  else if (content instanceof Uint8Array) yield content;
  else yield* content;
}
