import type { Readable } from "node:stream";

/** What a blob carries beside its bytes. */
export interface BlobHead {
  sizeBytes: number;
  /** Base64. */
  contentMd5: string;
  /** The `x-ms-meta-*` headers of its PUT without that prefix, names in lower case, values as they came. */
  metadata: Record<string, string>;
}

export interface Blob extends BlobHead {
  /** Its bytes, to be iterated to the end or given up by `break`: a piece is good until the next one is asked for. */
  body: AsyncIterable<Uint8Array>;
}

/** Where the blobs of buffers lie. A blob is visible only whole, and is written once. */
export interface BufferStore {
  /** Makes the place of a buffer; idempotent. */
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
  /** Resolves when the blob may be there, or after `waitMs`; for our own clients' waiting reads. */
  waitFor(bufferId: string, blobPath: string, waitMs: number, signal: AbortSignal): Promise<void>;
  /** Blob paths of a buffer in their order. */
  list(bufferId: string): AsyncIterable<string>;
  /** Removes the buffer's place and all in it; idempotent. */
  delete(bufferId: string): Promise<void>;
}
