import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { checkBlobPath, checkContainerName } from "../../buffers/format/blob-names.ts";
import { CodedError } from "../../model/errors.ts";
import type { ObjectStore } from "../../model/ports/objects.ts";
import type { BlobHead, BufferStore } from "../../model/ports/store.ts";
import { poll } from "../../waiting/bounded.ts";
import { BucketRefusal, type BucketObject, type FakeBucket } from "./bucket.ts";

/** The object that makes a buffer exist; no blob can have this name. */
const CONTAINER = "-container";
const POLL_MS = 5;
const DELETED_AT_ONCE = 32;
const READ_BYTES = 64 * 1024;

/** The second implementation of the port, over names in a bucket that start with `prefix`. It asks for missing blobs again and again. */
export function createBucketStore(bucket: FakeBucket, prefix: string): BufferStore {
  const nameOf = (bufferId: string, blobPath: string): string => {
    checkContainerName(bufferId);
    if (blobPath !== CONTAINER) checkBlobPath(blobPath);
    return `${prefix}${bufferId}/${blobPath}`;
  };
  const exists = (bufferId: string): Promise<boolean> => isThere(bucket.stat(nameOf(bufferId, CONTAINER)));
  const mustExist = async (bufferId: string): Promise<void> => {
    if (await exists(bufferId)) return;
    throw new CodedError("ContainerNotFound", `The buffer '${bufferId}' does not exist`);
  };
  const orMissing = async <T>(bufferId: string, blobPath: string, asked: Promise<T>): Promise<T> => {
    try {
      return await asked;
    } catch (err) {
      if (!isRefusal(err, 404)) throw err;
      await mustExist(bufferId);
      throw new CodedError("BlobNotFound", `The blob '${blobPath}' does not exist`, { cause: err });
    }
  };

  const store: BufferStore = {
    async provision(bufferId) {
      await bucket
        .upload(nameOf(bufferId, CONTAINER), new Uint8Array(), { ifGenerationMatch: 0 })
        .catch((err: unknown) => {
          if (!isRefusal(err, 412)) throw err;
        });
    },

    exists,

    async put(bufferId, blobPath, body: Readable, { contentMd5, metadata }) {
      nameOf(bufferId, blobPath);
      await mustExist(bufferId);
      const bytes = await buffer(body);
      const actual = createHash("md5").update(bytes).digest("base64");
      if (contentMd5 !== undefined && contentMd5 !== actual) {
        throw new CodedError("Md5Mismatch", `The bytes have the MD5 '${actual}', not '${contentMd5}'`);
      }
      return store.putWhole(bufferId, blobPath, bytes, { contentMd5: actual, metadata });
    },

    async putWhole(bufferId, blobPath, bytes, { contentMd5, metadata }) {
      const name = nameOf(bufferId, blobPath);
      await mustExist(bufferId);
      try {
        return headOf(await bucket.upload(name, bytes, { ifGenerationMatch: 0, md5Hash: contentMd5, metadata }));
      } catch (err) {
        if (!isRefusal(err, 412)) throw err;
        throw new CodedError("UnauthorizedBlobOverwrite", `The blob '${blobPath}' already exists`, { cause: err });
      }
    },

    async get(bufferId, blobPath) {
      const { bytes, ...head } = await store.getWhole(bufferId, blobPath, (size) => Buffer.alloc(size));
      return {
        ...head,
        body: (async function* () {
          if (bytes.length > 0) yield bytes;
        })(),
      };
    },

    async getWhole(bufferId, blobPath, allocate) {
      const name = nameOf(bufferId, blobPath);
      const head = headOf(await orMissing(bufferId, blobPath, bucket.stat(name)));
      const bytes = allocate(head.sizeBytes);
      (await orMissing(bufferId, blobPath, bucket.download(name))).copy(bytes);
      return { ...head, bytes };
    },

    async head(bufferId, blobPath) {
      return headOf(await orMissing(bufferId, blobPath, bucket.stat(nameOf(bufferId, blobPath))));
    },

    async waitFor(bufferId, blobPath, waitMs, signal) {
      const name = nameOf(bufferId, blobPath);
      const isOver = async (): Promise<true | undefined> =>
        (await isThere(bucket.stat(name))) || !(await exists(bufferId)) ? true : undefined;
      await poll(isOver, { everyMs: POLL_MS, withinMs: waitMs, signal });
    },

    async list(bufferId, { limit, after }) {
      const start = nameOf(bufferId, CONTAINER);
      const folder = start.slice(0, -CONTAINER.length);
      await mustExist(bufferId);
      const page = await bucket.list({ prefix: folder, maxResults: limit, pageToken: after });
      const paths = page.items.map(({ name }) => name.slice(folder.length)).filter((path) => path !== CONTAINER);
      return { paths, ...(page.nextPageToken !== undefined && { next: page.nextPageToken }) };
    },

    async delete(bufferId) {
      const container = nameOf(bufferId, CONTAINER);
      // First, so that readers see that the buffer is gone while its blobs are removed.
      await ifThere(bucket.remove(container));
      const folder = container.slice(0, -CONTAINER.length);
      for (;;) {
        const { items } = await bucket.list({ prefix: folder, maxResults: DELETED_AT_ONCE });
        if (items.length === 0) return;
        await Promise.all(items.map(({ name }) => ifThere(bucket.remove(name))));
      }
    },
  };
  return store;
}

/** As {@link createBucketStore}, for the other port. */
export function createBucketObjects(bucket: FakeBucket, prefix: string): ObjectStore {
  return {
    async put(key, body) {
      if (await isThere(bucket.stat(prefix + key))) return;
      const pieces: Uint8Array[] = [];
      for await (const piece of body) pieces.push(piece);
      await bucket.upload(prefix + key, Buffer.concat(pieces), { ifGenerationMatch: 0 }).catch((err: unknown) => {
        if (!isRefusal(err, 412)) throw err;
      });
    },

    async head(key) {
      if (!(await isThere(bucket.stat(prefix + key)))) return undefined;
      return { sizeBytes: (await bucket.stat(prefix + key)).size };
    },

    async *get(key, { from, to }) {
      for (let at = from; at < to; at += READ_BYTES) {
        const end = Math.min(to, at + READ_BYTES);
        const bytes = await bucket.download(prefix + key, { start: at, end });
        if (bytes.length < end - at) throw new Error("The object is shorter than it was");
        yield bytes;
      }
    },

    async list(start, { limit, after }) {
      const query = { prefix: prefix + start, delimiter: "/", maxResults: limit, pageToken: after };
      const { items, prefixes, nextPageToken } = await bucket.list(query);
      const entries = [...items.map(({ name }) => name), ...prefixes].map((name) => name.slice(prefix.length)).sort();
      return { entries, ...(nextPageToken !== undefined && { next: nextPageToken }) };
    },

    remove: (key) => ifThere(bucket.remove(prefix + key)),
  };
}

const headOf = ({ size, md5Hash, metadata }: BucketObject): BlobHead => ({
  sizeBytes: size,
  contentMd5: md5Hash,
  metadata,
});

const isRefusal = (err: unknown, status: number): boolean => err instanceof BucketRefusal && err.status === status;

const isThere = (asked: Promise<unknown>): Promise<boolean> =>
  asked.then(
    () => true,
    (err: unknown) => {
      if (!isRefusal(err, 404)) throw err;
      return false;
    },
  );

const ifThere = async (asked: Promise<unknown>): Promise<void> => void (await isThere(asked));
