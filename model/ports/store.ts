import type { Readable } from "node:stream";

/** A blob's size, hash and metadata. */
export interface BlobHead {
  sizeBytes: number;
  /** Base64. */
  contentMd5: string;
  /** The `x-ms-meta-*` headers of its PUT without that prefix, names in lower case, values unchanged. */
  metadata: Record<string, string>;
}

export interface Blob extends BlobHead {
  /** Its bytes, iterated to the end or abandoned by `break`: a piece is valid until the next one is requested. */
  body: AsyncIterable<Uint8Array>;
}

/** Stores the blobs of buffers. A blob is visible only whole, and is written once. */
export interface BufferStore {
  /** Creates a buffer's container for blobs; idempotent. */
  provision(bufferId: string): Promise<void>;
  exists(bufferId: string): Promise<boolean>;
  /**
   * Stores a blob as it streams in, memory independent of its size.
   * @throws CodedError Md5Mismatch (nothing is stored), UnauthorizedBlobOverwrite, ContainerNotFound
   */
  put(
    bufferId: string,
    blobPath: string,
    body: Readable,
    expect: { contentMd5?: string; metadata: Record<string, string> },
  ): Promise<BlobHead>;
  /** @throws CodedError BlobNotFound, ContainerNotFound */
  get(bufferId: string, blobPath: string): Promise<Blob>;
  /** @throws CodedError BlobNotFound, ContainerNotFound */
  head(bufferId: string, blobPath: string): Promise<BlobHead>;
  /** Resolves when the blob can be there, or after `waitMs`; for our own clients' waiting reads. */
  waitFor(bufferId: string, blobPath: string, waitMs: number, signal: AbortSignal): Promise<void>;
  /** Blob paths of a buffer in their order. */
  list(bufferId: string): AsyncIterable<string>;
  /** Removes the buffer and all its blobs; idempotent. */
  delete(bufferId: string): Promise<void>;
}
