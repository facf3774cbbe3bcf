import { createHash } from "node:crypto";
import { CodedError } from "../../model/errors.ts";
import type { BlobHead, BufferStore } from "../../model/ports/store.ts";
import { eachOf, settleAll, unlessAborted } from "../../waiting/bounded.ts";
import { createChanges } from "../../waiting/changes.ts";
import { checkBlobPath, checkContainerName } from "../format/blob-names.ts";
import type { Bucket, BucketObject } from "./bucket.ts";
import { createContainers } from "./containers.ts";
import { md5Mismatch } from "./json-api.ts";
import { withContent } from "./held-body.ts";

/** The object that makes a buffer exist, also without blobs; no blob can have this name. */
const CONTAINER = "-container";
/** Pauses between looks for a missing blob, whose writer can be another process. */
const FIRST_LOOK_MS = 100;
const LAST_LOOK_MS = 1000;
const DELETED_AT_ONCE = 32;
/** The most names that a bucket lists at once. */
const PAGE = 1000;

/**
 * A store in a bucket: one object a blob, named `<prefix><buffer>/<blob>`, with the blob's metadata as its own. The precondition of
 * the upload is what makes a blob write-once. Any number of processes can share it; those that wait in the process of the
 * writer are notified.
 * @see docs/decisions/0166-buffers-in-a-bucket.md
 */
export function createGcsStore(bucket: Bucket, prefix: string): BufferStore {
  const folderOf = (bufferId: string): string => {
    checkContainerName(bufferId);
    return `${prefix}${bufferId}/`;
  };
  const nameOf = (bufferId: string, blobPath: string): string => {
    const folder = folderOf(bufferId);
    checkBlobPath(blobPath);
    return folder + blobPath;
  };
  const containers = createContainers(async (bufferId) => {
    const found = await bucket.find(folderOf(bufferId) + CONTAINER);
    return found !== undefined;
  });
  let announce: (name: string | undefined) => void = () => {};
  const arrivals = createChanges<string>(async (changed) => {
    announce = changed;
    return { close: async () => {} };
  });
  const mustExist = async (bufferId: string): Promise<void> => {
    if (await containers.has(bufferId)) return;
    throw new CodedError("ContainerNotFound", `The buffer '${bufferId}' does not exist`);
  };
  const find = async (bufferId: string, blobPath: string): Promise<BucketObject> => {
    const name = nameOf(bufferId, blobPath);
    const [found] = await settleAll([bucket.find(name), mustExist(bufferId)]);
    if (found) return found;
    throw new CodedError("BlobNotFound", `The blob '${blobPath}' does not exist`);
  };
  const create = async (
    bufferId: string,
    blobPath: string,
    ...content: [Parameters<Bucket["create"]>[1], Parameters<Bucket["create"]>[2]]
  ): Promise<BlobHead> => {
    const name = nameOf(bufferId, blobPath);
    await mustExist(bufferId);
    const created = await bucket.create(name, ...content);
    if (created === undefined) {
      throw new CodedError("UnauthorizedBlobOverwrite", `The blob '${blobPath}' already exists`);
    }
    announce(name);
    return headOf(created);
  };
  const bytesOf = (object: BucketObject): AsyncGenerator<Uint8Array, void> =>
    bucket.read(object.name, { from: 0, to: object.sizeBytes, generation: object.generation });

  return {
    async provision(bufferId) {
      await bucket.create(folderOf(bufferId) + CONTAINER, new Uint8Array(), { metadata: {} });
      containers.remember(bufferId);
    },

    async exists(bufferId) {
      return containers.ask(bufferId);
    },

    async put(bufferId, blobPath, body, { contentMd5, metadata }) {
      nameOf(bufferId, blobPath);
      return withContent(body, async (content) => {
        if (!(content instanceof Uint8Array)) return create(bufferId, blobPath, content, { contentMd5, metadata });
        const actual = createHash("md5").update(content).digest("base64");
        if (contentMd5 !== undefined && contentMd5 !== actual) throw md5Mismatch(actual, contentMd5);
        return create(bufferId, blobPath, content, { contentMd5: actual, metadata });
      });
    },

    putWhole: (bufferId, blobPath, bytes, facts) => create(bufferId, blobPath, bytes, facts),

    async get(bufferId, blobPath) {
      const found = await find(bufferId, blobPath);
      return { ...headOf(found), body: bytesOf(found) };
    },

    async getWhole(bufferId, blobPath, allocate) {
      const found = await find(bufferId, blobPath);
      const bytes = allocate(found.sizeBytes);
      let at = 0;
      for await (const piece of bytesOf(found)) {
        bytes.set(piece, at);
        at += piece.length;
      }
      return { ...headOf(found), bytes };
    },

    async head(bufferId, blobPath) {
      return headOf(await find(bufferId, blobPath));
    },

    async waitFor(bufferId, blobPath, waitMs, signal) {
      const name = nameOf(bufferId, blobPath);
      const endMs = performance.now() + waitMs;
      const arrived = arrivals.subscribe(name);
      try {
        for (let pauseMs = FIRST_LOOK_MS; !signal.aborted; pauseMs = Math.min(pauseMs * 1.5, LAST_LOOK_MS)) {
          const looked = settleAll([bucket.find(name), containers.has(bufferId)]);
          const [found, isThere] = await unlessAborted(looked, signal);
          const leftMs = endMs - performance.now();
          if (found || !isThere || leftMs <= 0) return;
          await arrived.changed(Math.min(pauseMs, leftMs), signal);
        }
      } catch (err) {
        if (!signal.aborted) throw err;
      } finally {
        arrived.close();
      }
    },

    async list(bufferId, { limit, after }) {
      const folder = folderOf(bufferId);
      const listed = bucket.list({ prefix: folder, limit: Math.min(limit, PAGE), after });
      const [{ names, next }] = await settleAll([listed, mustExist(bufferId)]);
      const paths = names.map((name) => name.slice(folder.length)).filter((path) => path !== CONTAINER);
      return { paths, ...(next !== undefined && { next }) };
    },

    async delete(bufferId) {
      const folder = folderOf(bufferId);
      // First, so that readers see that the buffer is gone while its blobs are removed. What a call leaves, the next one finds.
      await bucket.remove(folder + CONTAINER);
      containers.forget(bufferId);
      for (;;) {
        const { names } = await bucket.list({ prefix: folder, limit: PAGE });
        if (names.length === 0) return;
        await eachOf(names, DELETED_AT_ONCE, (name) => bucket.remove(name));
      }
    },
  };
}

const headOf = ({ sizeBytes, contentMd5, metadata }: BucketObject): BlobHead => ({ sizeBytes, contentMd5, metadata });
