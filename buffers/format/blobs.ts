import type { BlobHash } from "./blob-hash.ts";
import { CHAIN_METADATA, WRITER_METADATA } from "./buffer-format.ts";

/** The facts by which two blobs at one path are the same. */
export interface BlobLabels {
  /** Base64 MD5 of its bytes. */
  md5: string;
  /** The hash chain, of a data blob. */
  chain?: string;
  /** The token of its writer, of the start and the end of a buffer. */
  writer?: string;
}

export const isSameBlob = (a: BlobLabels, b: BlobLabels): boolean =>
  a.md5 === b.md5 && a.chain === b.chain && a.writer === b.writer;

/** The metadata with which a blob is stored. */
export const metadataOf = ({ chain, writer }: BlobLabels): Record<string, string> => ({
  ...(chain !== undefined && { [CHAIN_METADATA]: chain }),
  ...(writer !== undefined && { [WRITER_METADATA]: writer }),
});

/** The labels of a stored blob. */
export function labelsOf(md5: string, metadata: Readonly<Record<string, string | undefined>>): BlobLabels {
  const { [CHAIN_METADATA]: chain, [WRITER_METADATA]: writer } = metadata;
  return { md5, ...(chain !== undefined && { chain }), ...(writer !== undefined && { writer }) };
}

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
  /** Stores a blob. False if another one exists; true if the same one does, as after an answer that was lost. */
  put(path: string, bytes: Uint8Array, labels: BlobLabels): Promise<boolean>;
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
