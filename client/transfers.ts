import { CodedError } from "../model/errors.ts";
import { fromServer, fromUrl } from "../buffers/access/access.ts";
import { blobsOver } from "../buffers/access/blob-client.ts";
import type { BlobSource } from "../buffers/format/blobs.ts";
import { type ReadOptions, readBuffer } from "../buffers/format/reader.ts";
import { writeBuffer, type WriteOptions } from "../buffers/format/writer.ts";
import type { AccessOptions, Buffers } from "./buffers.ts";
import { ServerError, UnexpectedStatusError } from "./errors.ts";

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
      // The one refusal that waiting cannot fix.
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

/** `ttl` is the life of the signed URLs, which are renewed. */
export type BufferReadOptions = Omit<ReadOptions, "signal" | "reuseMemory"> & Pick<AccessOptions, "signal" | "ttl">;
export type BufferWriteOptions = Omit<WriteOptions, "signal"> & Pick<AccessOptions, "signal" | "ttl">;

/** Reads and writes the bytes of buffers. */
export interface Transfers {
  /**
   * The bytes of a buffer, each block verified; `target` is an id or a signed URL. A reader may come before the writer and
   * waits for it. The stream fails with a CodedError when the buffer is not whole.
   */
  read(target: string, options?: BufferReadOptions): ReadableStream<Uint8Array>;
  /**
   * Writes `content` and completes the buffer; `target` is an id or a signed URL. After a failure or an abort the buffer is
   * marked as failed.
   * @throws CodedError Conflict when the buffer was written before
   */
  write(target: string, content: Content, options?: BufferWriteOptions): Promise<{ sizeBytes: number }>;
}

/** The transfers over the buffers of a server; `ca` as in HttpOptions. */
export const transfersOver = (buffers: Buffers, ca: string | undefined): Transfers => ({
  read(target, { signal: given, ttl, ...rest } = {}) {
    const stopping = new AbortController();
    const signal = given ? AbortSignal.any([given, stopping.signal]) : stopping.signal;
    const pieces = readBuffer(accessTo(buffers, target, { ttl, signal, ca }), { ...rest, signal });
    const iterator = pieces[Symbol.asyncIterator]();
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const { value, done } = await iterator.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        cancel: (reason) => stopping.abort(reason),
      },
      // Nothing is fetched before the first read.
      { highWaterMark: 0 },
    );
  },

  async write(target, content, { signal, ttl, ...rest } = {}) {
    signal?.throwIfAborted();
    const access = accessTo(buffers, target, { ttl, signal, writeable: true, ca });
    return writeBuffer(chunksIn(content), access, { ...rest, ...(signal && { signal }) });
  },
});

/** Content of any kind, as writers take it. */
export async function* chunksIn(content: Content): AsyncGenerator<Uint8Array> {
  if (typeof content === "string") yield Buffer.from(content);
  else if (content instanceof Uint8Array) yield content;
  else yield* content;
}
