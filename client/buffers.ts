import type { ReadOptions } from "../buffers/format/reader.ts";
import type { WriteOptions } from "../buffers/format/writer.ts";
import type { CallOptions, Http } from "./http/http.ts";
import type { Content } from "./transfers.ts";
import type { NewBuffer, TygerBuffer } from "./types.ts";

export interface AccessOptions extends CallOptions {
  writeable?: boolean | undefined;
  /** Life of the URL, a TimeSpan from half a minute to an hour; the server's default unless given. */
  ttl?: string | undefined;
}

/** `ttl` is the life of the signed URLs, which are renewed. */
export type BufferReadOptions = Omit<ReadOptions, "signal" | "reuseMemory"> & Pick<AccessOptions, "signal" | "ttl">;
export type BufferWriteOptions = Omit<WriteOptions, "signal"> & Pick<AccessOptions, "signal" | "ttl">;

export interface Buffers {
  create(buffer?: NewBuffer, options?: CallOptions): Promise<TygerBuffer>;
  show(id: string, options?: CallOptions & { softDeleted?: boolean | undefined }): Promise<TygerBuffer>;
  /** A signed URL, good for whoever has it until it expires. */
  access(id: string, options?: AccessOptions): Promise<string>;
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

const pathOf = (id: string): string => `/buffers/${encodeURIComponent(id)}`;

/** The buffers of a server. What moves bytes is loaded with the first of them. */
export function buffersOver(http: Http): Buffers {
  const buffers: Buffers = {
    async create(buffer = {}, { signal } = {}) {
      return (await http.json<TygerBuffer>({ method: "POST", path: "/buffers", body: buffer, signal })).value;
    },

    async show(id, { softDeleted, signal } = {}) {
      const query = { softDeleted: softDeleted || undefined };
      return (await http.json<TygerBuffer>({ method: "GET", path: pathOf(id), query, signal })).value;
    },

    async access(id, { writeable = false, ttl, signal } = {}) {
      const path = `${pathOf(id)}/access`;
      const query = { ttl, writeable };
      const { value } = await http.json<{ uri?: unknown }>({ method: "POST", path, query, isRepeatable: true, signal });
      if (typeof value.uri !== "string") throw new Error(`the server gave no access URL for the buffer '${id}'`);
      return value.uri;
    },

    read(target, options = {}) {
      const { signal: given, ttl, ...rest } = options;
      const stopping = new AbortController();
      const signal = given ? AbortSignal.any([given, stopping.signal]) : stopping.signal;
      let pieces: AsyncIterator<Uint8Array> | undefined;
      return new ReadableStream<Uint8Array>(
        {
          async pull(controller) {
            if (!pieces) {
              const { accessTo, readBuffer } = await import("./transfers.ts");
              const access = accessTo(buffers, target, { ttl, signal, ca: http.ca });
              pieces = readBuffer(access, { ...rest, signal })[Symbol.asyncIterator]();
            }
            const { value, done } = await pieces.next();
            if (done) controller.close();
            else controller.enqueue(value);
          },
          cancel: (reason) => stopping.abort(reason),
        },
        // Nothing is fetched before somebody reads.
        { highWaterMark: 0 },
      );
    },

    async write(target, content, options = {}) {
      const { signal, ttl, ...rest } = options;
      signal?.throwIfAborted();
      const { accessTo, chunksIn, writeBuffer } = await import("./transfers.ts");
      const access = accessTo(buffers, target, { ttl, signal, writeable: true, ca: http.ca });
      return writeBuffer(chunksIn(content), access, { ...rest, ...(signal && { signal }) });
    },
  };
  return buffers;
}
