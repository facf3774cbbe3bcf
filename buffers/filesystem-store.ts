import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import { link, mkdir, open, readdir, rename, rm, stat, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CodedError, errnoOf } from "../model/errors.ts";
import type { Blob, BlobHead, BufferStore } from "../model/store.ts";
import { readBlobFile, restOf } from "./blob-file.ts";
import { checkBlobPath, checkContainerName } from "./blob-names.ts";
import { writeBlobFile } from "./blob-writer.ts";
import { createFolderSync } from "./folder-sync.ts";

/** Blobs on their way in and buffers on their way out; no buffer can have this name. */
const PASSAGE = "-passage";
/** What a killed process left in the passage; an upload that rests this long has lost its client. */
const LEFTOVER_MS = 3_600_000;
/** Blobs of another process (the worker's end marks) are noticed this late. */
const POLL_MS = 500;

/**
 * A store in the folder `rootDir`: a folder a buffer, a file a blob, `/` of the blob's path written as `-`.
 * `link` publishes a file that is already whole and durable, and its EEXIST is what makes a blob write-once.
 */
export function createFilesystemStore(rootDir: string): BufferStore {
  const passage = join(rootDir, PASSAGE);
  const syncFolder = createFolderSync();
  const arrivals = new EventEmitter().setMaxListeners(0);
  let prepared: Promise<void> | undefined;

  const prepare = (): Promise<void> => {
    prepared ??= preparePassage(passage).catch((err: unknown) => {
      prepared = undefined;
      throw err;
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
  const inPassage = (): string => join(passage, randomBytes(12).toString("hex"));

  const openBlob = async (bufferId: string, blobPath: string): Promise<FileHandle> => {
    const path = fileOf(bufferId, blobPath);
    try {
      return await open(path, "r");
    } catch (err) {
      if (errnoOf(err) !== "ENOENT") throw err;
      if (!(await isThere(folderOf(bufferId)))) throw containerNotFound(bufferId, err);
      throw new CodedError("BlobNotFound", `The blob '${blobPath}' does not exist`, { cause: err });
    }
  };

  return {
    async provision(bufferId) {
      const folder = folderOf(bufferId);
      await prepare();
      await mkdir(folder, { mode: 0o700 }).catch(unless("EEXIST"));
      await syncFolder(rootDir);
    },

    async exists(bufferId) {
      return isThere(folderOf(bufferId));
    },

    async put(bufferId, blobPath, body, expect) {
      const path = fileOf(bufferId, blobPath);
      await prepare();
      if (!(await isThere(folderOf(bufferId)))) throw containerNotFound(bufferId);
      // Saves a repeated upload the trip to the disk; `link` below is what decides.
      if (await isThere(path)) throw overwrite(blobPath);
      const temporary = inPassage();
      try {
        const head = await writeBlobFile(temporary, body, expect);
        await link(temporary, path);
        await syncFolder(folderOf(bufferId));
        arrivals.emit(`${bufferId}/${blobPath}`);
        return head;
      } catch (err) {
        if (errnoOf(err) === "EEXIST") throw overwrite(blobPath, err);
        if (errnoOf(err) === "ENOENT") throw containerNotFound(bufferId, err);
        if (errnoOf(err) === "ENOSPC" || errnoOf(err) === "EDQUOT") throw full(blobPath, err);
        throw err;
      } finally {
        await unlink(temporary).catch(unless("ENOENT"));
      }
    },

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
      const over = AbortSignal.any([signal, AbortSignal.timeout(waitMs)]);
      const arrived = new AbortController();
      const notice = (): void => arrived.abort();
      const events = [bufferId, `${bufferId}/${blobPath}`];
      for (const event of events) arrivals.on(event, notice);
      try {
        const done = AbortSignal.any([over, arrived.signal]);
        while (!done.aborted && !(await isThere(path)) && (await isThere(folderOf(bufferId)))) {
          await sleep(POLL_MS, undefined, { signal: done }).catch(() => {});
        }
      } finally {
        for (const event of events) arrivals.off(event, notice);
      }
    },

    async *list(bufferId) {
      const names = await readdir(folderOf(bufferId)).catch((err: unknown) => {
        throw errnoOf(err) === "ENOENT" ? containerNotFound(bufferId, err) : err;
      });
      yield* names.map((name) => name.replaceAll("-", "/")).sort();
    },

    async delete(bufferId) {
      const folder = folderOf(bufferId);
      await prepare();
      const gone = inPassage();
      // Renamed first: a reader sees the whole buffer or none of it.
      await rename(folder, gone).catch(unless("ENOENT"));
      await syncFolder(rootDir);
      arrivals.emit(bufferId);
      await rm(gone, { recursive: true, force: true });
    },
  };
}

async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  if (bytes.length > 0) yield bytes;
}

async function preparePassage(passage: string): Promise<void> {
  await mkdir(passage, { recursive: true, mode: 0o700 });
  for (const name of await readdir(passage)) {
    const path = join(passage, name);
    const found = await stat(path).catch(unless("ENOENT"));
    if (found && Date.now() - found.mtimeMs > LEFTOVER_MS) await rm(path, { recursive: true, force: true });
  }
}

const isThere = (path: string): Promise<boolean> => stat(path).then(() => true, unless("ENOENT", false));

/** A rejection handler that takes one system error for `value` and passes on any other. */
function unless<T = undefined>(errno: string, value?: T): (err: unknown) => T {
  return (err) => {
    if (errnoOf(err) === errno) return value as T; // T is undefined where no value is given.
    throw err;
  };
}

const containerNotFound = (bufferId: string, cause?: unknown): CodedError =>
  new CodedError("ContainerNotFound", `The buffer '${bufferId}' does not exist`, { cause });

const overwrite = (blobPath: string, cause?: unknown): CodedError =>
  new CodedError("UnauthorizedBlobOverwrite", `The blob '${blobPath}' exists already`, { cause });

const full = (blobPath: string, cause: unknown): CodedError =>
  new CodedError("Unavailable", `The buffer store has no space left for the blob '${blobPath}'`, { cause });
