import type { Readable } from "node:stream";
import type { LocationNames } from "../buffer/location.ts";

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

/** Facts about a blob that is in memory as a whole. */
export type BlobFacts = Omit<BlobHead, "sizeBytes">;

/** A part of a list that is never held as a whole. */
export interface BlobPage {
  /** Blob paths in their order. */
  paths: string[];
  /** Absent when the list ends here. */
  next?: string;
}

/**
 * Stores the blobs of the buffers of one location: a folder or a bucket, so nothing here is renamed, appended to or locked. A
 * blob is visible only whole, and is written once; a blob that is there is seen at once by every process.
 * @throws CodedError Unavailable from each call while the location is away: a blob that cannot be asked for is not a missing one
 */
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
  /**
   * Stores a blob from memory. It trusts the caller that `contentMd5` is the MD5 of `bytes`.
   * @throws CodedError UnauthorizedBlobOverwrite, ContainerNotFound
   */
  putWhole(bufferId: string, blobPath: string, bytes: Uint8Array, facts: BlobFacts): Promise<BlobHead>;
  /** @throws CodedError BlobNotFound, ContainerNotFound */
  get(bufferId: string, blobPath: string): Promise<Blob>;
  /**
   * Reads a blob into the memory that `allocate` returns for its size.
   * @throws CodedError BlobNotFound, ContainerNotFound
   */
  getWhole(
    bufferId: string,
    blobPath: string,
    allocate: (sizeBytes: number) => Buffer,
  ): Promise<BlobHead & { bytes: Buffer }>;
  /** @throws CodedError BlobNotFound, ContainerNotFound */
  head(bufferId: string, blobPath: string): Promise<BlobHead>;
  /**
   * Resolves when the blob can be there, when the buffer is gone, after `waitMs`, or when `signal` is aborted; whether the store
   * is notified or asks again and again is its own business.
   */
  waitFor(bufferId: string, blobPath: string, waitMs: number, signal: AbortSignal): Promise<void>;
  /**
   * At most `limit` blobs of a buffer, fewer also where more follow; `after` is the `next` of the page before.
   * @throws CodedError ContainerNotFound
   */
  list(bufferId: string, page: { limit: number; after?: string | undefined }): Promise<BlobPage>;
  /** Removes the buffer and all its blobs; idempotent. */
  delete(bufferId: string): Promise<void>;
}

/** The stores of all locations as one: each call is for the store that the buffer is in. */
export interface BufferStores extends BufferStore {
  /** Where new buffers can be. */
  locations: LocationNames;
  /** The store of one location, for a buffer that has no row yet. @throws CodedError Unavailable for an unknown one */
  at(location: string): BufferStore;
}
