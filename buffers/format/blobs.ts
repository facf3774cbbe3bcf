import type { BlobHash } from "./blob-hash.ts";

/** A blob with all its bytes, as a reader gets it. */
export interface ReceivedBlob {
  bytes: Buffer;
  /** Base64. */
  md5: string;
  chain?: string;
  /** The blob was not there when it was asked for. */
  wasHeld: boolean;
}

export interface BlobOptions {
  signal: AbortSignal;
  /** How long a server may be away, or answer with 5xx, before a request is given up. */
  outageMs: number;
  /** Where the bytes of received blobs go; a new buffer for each without this. */
  allocate?: ((sizeBytes: number) => Buffer) | undefined;
  /** Takes the MD5 of received blobs; at once and here without this. */
  hash?: BlobHash | undefined;
  /** Told once for each request that is tried again. */
  onRetry?: ((reason: string) => void) | undefined;
}

/** The blobs of one buffer as its readers and writers need them, wherever they lie. */
export interface Blobs {
  /**
   * Stores a blob; `md5` is that of its bytes, base64. False when a blob of other content is there; for the start of a
   * buffer, also when another writer's is there.
   */
  put(path: string, bytes: Uint8Array, md5: string, chain?: string): Promise<boolean>;
  /**
   * The blob, verified against its MD5; undefined when it is not there, after `waitSeconds` at most.
   * @throws CodedError ContainerNotFound, Md5Mismatch
   */
  get(path: string, waitSeconds: number, signal?: AbortSignal): Promise<ReceivedBlob | undefined>;
  exists(path: string): Promise<boolean>;
}

/** What a reader or writer of a buffer is given: the way to its blobs. */
export interface BlobSource {
  open(options: BlobOptions): Blobs;
}
