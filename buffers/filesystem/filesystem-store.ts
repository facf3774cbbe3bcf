import { randomBytes } from "node:crypto";
import { link, mkdir, open, readdir, rename, rm, stat, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { isDiskFull } from "../../model/errno.ts";
import { CodedError, errnoOf } from "../../model/errors.ts";
import type { Blob, BlobHead, BufferStore } from "../../model/ports/store.ts";
import { readBlobFile, readRest, restOf } from "./blob-file.ts";
import { checkBlobPath, checkContainerName } from "../format/blob-names.ts";
import { writeBlobFile, writeWholeBlob } from "./blob-writer.ts";
import { folderAway, whileThere } from "./folder-away.ts";
import { watchFolder } from "./folder-changes.ts";
import { createFolderSync } from "./folder-sync.ts";

/** Folder of unfinished uploads and of buffers being deleted; no buffer can have this name. */
const PASSAGE = "-passage";
/** Age at which a file there counts as left by a killed process: an upload idle for this long has lost its client. */
const LEFTOVER_MS = 3_600_000;
/** Polling interval where folders cannot be watched. */
const POLL_MS = 500;

/**
 * A store in the folder `rootDir`: one folder per buffer, one file per blob, with `-` for `/` in the blob's path.
 * `link` publishes a file that is already whole and durable, and its EEXIST is what makes a blob write-once. Processes that share
 * the disk can write and wait at the same time. The folder must be there: while it is missing, so is the disk that it is on.
 */
export function createFilesystemStore(rootDir: string): BufferStore {
  const passage = join(rootDir, PASSAGE);
  const syncFolder = createFolderSync();
  let prepared: Promise<void> | undefined;

  const prepare = (): Promise<void> => {
    prepared ??= preparePassage(passage).catch((err: unknown) => {
      prepared = undefined;
      throw errnoOf(err) === "ENOENT" ? folderAway(rootDir, err) : err;
    });
    return prepared;
  };
  const folderOf = (bufferId: string): string => {
    checkContainerName(bufferId);
    return join(rootDir, bufferId);
  };
  const fileOf = (bufferId: string, blobPath: string): string => {
    const folder = folderOf(bufferId);
    checkBlobPath(blobPath);
    return join(folder, blobPath.replaceAll("/", "-"));
  };
  /** @throws CodedError Unavailable when that is not known */
  const isProvisioned = async (bufferId: string): Promise<boolean> => {
    if (await isThere(folderOf(bufferId))) return true;
    if (await isThere(rootDir)) return false;
    throw folderAway(rootDir);
  };
  const inPassage = (): string => join(passage, randomBytes(12).toString("hex"));

  const openBlob = async (bufferId: string, blobPath: string): Promise<FileHandle> => {
    const path = fileOf(bufferId, blobPath);
    try {
      return await open(path, "r");
    } catch (err) {
      if (errnoOf(err) !== "ENOENT") throw err;
      if (!(await isProvisioned(bufferId))) throw containerNotFound(bufferId, err);
      throw new CodedError("BlobNotFound", `The blob '${blobPath}' does not exist`, { cause: err });
    }
  };

  /** The buffer, or else the temporary file: when that is gone, its upload can be repeated. */
  const missing = async (bufferId: string, cause: unknown): Promise<CodedError> => {
    if (!(await isProvisioned(bufferId))) return containerNotFound(bufferId, cause);
    prepared = undefined;
    return new CodedError("Unavailable", "The unfinished upload was removed from the buffer store", { cause });
  };

  /** Publishes the temporary file that `write` fills as the blob. */
  const publish = async (
    bufferId: string,
    blobPath: string,
    write: (temporary: string) => Promise<BlobHead>,
  ): Promise<BlobHead> => {
    const path = fileOf(bufferId, blobPath);
    await prepare();
    if (!(await isProvisioned(bufferId))) throw containerNotFound(bufferId);
    // Saves a repeated upload the disk write; `link` below decides.
    if (await isThere(path)) throw overwrite(blobPath);
    const temporary = inPassage();
    try {
      const head = await write(temporary);
      await link(temporary, path);
      await syncFolder(folderOf(bufferId));
      return head;
    } catch (err) {
      if (errnoOf(err) === "EEXIST") throw overwrite(blobPath, err);
      if (errnoOf(err) === "ENOENT") throw await missing(bufferId, err);
      if (isDiskFull(err)) throw full(err);
      throw err;
    } finally {
      await unlink(temporary).catch(unless("ENOENT"));
    }
  };

  return whileThere<BufferStore>(rootDir, {
    async provision(bufferId) {
      const folder = folderOf(bufferId);
      await prepare();
      await mkdir(folder, { mode: 0o700 }).catch((err: unknown) => {
        if (errnoOf(err) === "ENOENT") throw folderAway(rootDir, err);
        if (errnoOf(err) !== "EEXIST") throw err;
      });
      await syncFolder(rootDir);
    },

    async exists(bufferId) {
      return isProvisioned(bufferId);
    },

    put: (bufferId, blobPath, body, expect) =>
      publish(bufferId, blobPath, (temporary) => writeBlobFile(temporary, body, expect)),

    putWhole: (bufferId, blobPath, bytes, facts) =>
      publish(bufferId, blobPath, (temporary) => writeWholeBlob(temporary, bytes, facts)),

    async get(bufferId, blobPath): Promise<Blob> {
      const file = await openBlob(bufferId, blobPath);
      try {
        const { startsAt, bytes, ...head } = await readBlobFile(file, `${bufferId}/${blobPath}`);
        if (!bytes) return { ...head, body: restOf(file, startsAt) };
        await file.close();
        return { ...head, body: piecesOf(bytes) };
      } catch (err) {
        await file.close();
        throw err;
      }
    },

    async getWhole(bufferId, blobPath, allocate) {
      const file = await openBlob(bufferId, blobPath);
      try {
        const { startsAt, bytes: first, ...head } = await readBlobFile(file, `${bufferId}/${blobPath}`);
        const bytes = allocate(head.sizeBytes);
        if (first) first.copy(bytes);
        else await readRest(file, startsAt, bytes);
        return { ...head, bytes };
      } finally {
        await file.close();
      }
    },

    async head(bufferId, blobPath): Promise<BlobHead> {
      const file = await openBlob(bufferId, blobPath);
      try {
        const { sizeBytes, contentMd5, metadata } = await readBlobFile(file, `${bufferId}/${blobPath}`);
        return { sizeBytes, contentMd5, metadata };
      } finally {
        await file.close();
      }
    },

    async waitFor(bufferId, blobPath, waitMs, signal) {
      const path = fileOf(bufferId, blobPath);
      const folder = folderOf(bufferId);
      const over = AbortSignal.any([signal, AbortSignal.timeout(waitMs)]);
      const changes = watchFolder(folder);
      try {
        while (!over.aborted && !(await isThere(path)) && (await isThere(folder))) await changes.next(POLL_MS, over);
      } finally {
        changes.stop();
      }
    },

    async list(bufferId, { limit, after = "" }) {
      const names = await readdir(folderOf(bufferId)).catch(async (err: unknown) => {
        if (errnoOf(err) !== "ENOENT" || (await isProvisioned(bufferId))) throw err;
        throw containerNotFound(bufferId, err);
      });
      const left = names
        .map((name) => name.replaceAll("-", "/"))
        .filter((path) => path > after)
        .sort();
      const paths = left.slice(0, limit);
      const last = paths.at(-1);
      return left.length > limit && last !== undefined ? { paths, next: last } : { paths };
    },

    async delete(bufferId) {
      const folder = folderOf(bufferId);
      await prepare();
      const gone = inPassage();
      // Renamed first, so that a reader sees the whole buffer or none of it.
      await rename(folder, gone).catch(async (err: unknown) => {
        if (errnoOf(err) !== "ENOENT") throw err;
        const reason = await missing(bufferId, err);
        if (reason.code !== "ContainerNotFound") throw reason;
      });
      await syncFolder(rootDir);
      await rm(gone, { recursive: true, force: true });
    },
  });
}

async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  if (bytes.length > 0) yield bytes;
}

async function preparePassage(passage: string): Promise<void> {
  await mkdir(passage, { mode: 0o700 }).catch(unless("EEXIST"));
  for (const name of await readdir(passage)) {
    const path = join(passage, name);
    const found = await stat(path).catch(unless("ENOENT"));
    if (found && Date.now() - found.mtimeMs > LEFTOVER_MS) await rm(path, { recursive: true, force: true });
  }
}

const isThere = (path: string): Promise<boolean> => stat(path).then(() => true, unless("ENOENT", false));

/** A rejection handler that turns one system error into `value` and rethrows any other. */
function unless<T = undefined>(errno: string, value?: T): (err: unknown) => T {
  return (err) => {
    if (errnoOf(err) === errno) return value as T; // T is undefined where no value is given.
    throw err;
  };
}

const containerNotFound = (bufferId: string, cause?: unknown): CodedError =>
  new CodedError("ContainerNotFound", `The buffer '${bufferId}' does not exist`, { cause });

const overwrite = (blobPath: string, cause?: unknown): CodedError =>
  new CodedError("UnauthorizedBlobOverwrite", `The blob '${blobPath}' already exists`, { cause });

const full = (cause: unknown): CodedError =>
  new CodedError("Unavailable", "The buffer store has no space left: make room in the stack's data folder", { cause });
