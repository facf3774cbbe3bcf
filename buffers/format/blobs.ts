import type { BlobHash } from "./blob-hash.ts";

/** A received blob with all its bytes. */
export interface ReceivedBlob {
  bytes: Buffer;
  /** Base64. */
  md5: string;
  chain?: string;
  /** The blob did not exist yet when it was requested. */
  wasHeld: boolean;
}

export interface BlobOptions {
  signal: AbortSignal;
  /** How long a server can be unreachable, or respond with 5xx, before a request is given up. */
  outageMs: number;
  /** Provides memory for a received blob; by default a new buffer. */
  allocate?: ((sizeBytes: number) => Buffer) | undefined;
  /** Computes the MD5 of received blobs; by default this happens inline. */
  hash?: BlobHash | undefined;
  /** Called before each retry. */
  onRetry?: ((reason: string) => void) | undefined;
}

/** The blobs of one buffer, as readers and writers need them, regardless of where they are stored. */
export interface Blobs {
  /**
   * Stores a blob; `md5` is the base64 MD5 of its bytes. False if a blob with other content exists; for the start of a
   * buffer, also if another writer's exists.
   */
  put(path: string, bytes: Uint8Array, md5: string, chain?: string): Promise<boolean>;
  /**
   * The blob, verified against its MD5; undefined if it does not exist after `waitSeconds`.
   * @throws CodedError ContainerNotFound, Md5Mismatch
   */
  get(path: string, waitSeconds: number, signal?: AbortSignal): Promise<ReceivedBlob | undefined>;
  exists(path: string): Promise<boolean>;
}

/** Access to the blobs of one buffer, for its reader or writer. */
export interface BlobSource {
  open(options: BlobOptions): Blobs;
}
