import { Buffer } from "node:buffer";
import { CodedError, type ErrorCode } from "../../model/errors.ts";
import type { BufferStore } from "../../model/ports/store.ts";
import { hashOf } from "./blob-hash.ts";
import { isSameBlob, labelsOf, metadataOf, type Blobs, type BlobSource, type ReceivedBlob } from "./blobs.ts";
import { CHAIN_METADATA } from "./buffer-format.ts";

const newBuffer = (sizeBytes: number): Buffer => Buffer.allocUnsafeSlow(sizeBytes);

/** A buffer's blobs, without the data plane in between; behaves as over a signed URL. */
export const storedBlobs = (store: BufferStore, bufferId: string): BlobSource => ({
  open({ signal, hash, allocate = newBuffer }): Blobs {
    const find = async (path: string): Promise<Omit<ReceivedBlob, "wasHeld"> | undefined> => {
      const blob = await store.getWhole(bufferId, path, allocate).catch(unless("BlobNotFound"));
      if (!blob) return undefined;
      const { bytes, md5 } = await hashOf(blob.bytes, hash);
      if (md5 !== blob.contentMd5) throw new CodedError("Md5Mismatch", `MD5 mismatch in blob '${path}'`);
      const chain = blob.metadata[CHAIN_METADATA];
      return { bytes, md5, ...(chain === undefined ? {} : { chain }) };
    };

    return {
      async put(path, bytes, labels) {
        signal.throwIfAborted();
        const stored = await store
          .putWhole(bufferId, path, bytes, { contentMd5: labels.md5, metadata: metadataOf(labels) })
          .catch(unless("UnauthorizedBlobOverwrite"));
        if (stored) return true;
        const { contentMd5, metadata } = await store.head(bufferId, path);
        return isSameBlob(labelsOf(contentMd5, metadata), labels);
      },

      async get(path, waitSeconds, own = signal) {
        const endMs = Date.now() + waitSeconds * 1000;
        for (let wasHeld = false; ; wasHeld = true) {
          own.throwIfAborted();
          const blob = await find(path);
          if (blob) return { ...blob, wasHeld };
          const leftMs = endMs - Date.now();
          if (leftMs <= 0) return undefined;
          await store.waitFor(bufferId, path, leftMs, own);
        }
      },

      async exists(path) {
        return (await store.head(bufferId, path).catch(unless("BlobNotFound"))) !== undefined;
      },
    };
  },
});

/** A rejection handler that turns one refusal of the store into undefined and rethrows any other error. */
const unless =
  (code: ErrorCode) =>
  (err: unknown): undefined => {
    if (!(err instanceof CodedError) || err.code !== code) throw err;
  };
