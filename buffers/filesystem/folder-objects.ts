import { mkdir, open, readdir, rm, rmdir, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { writeWholeBy } from "../../disk/write-stream.ts";
import { isNoFile } from "../../model/errno.ts";
import { errnoOf } from "../../model/errors.ts";
import type { ObjectStore } from "../../model/ports/objects.ts";
import { folderAway, whileThere } from "./folder-away.ts";

/** Age at which an unfinished file counts as left by a dead writer. */
const STALE_MS = 24 * 3_600_000;
const READ_BYTES = 256 * 1024;
/** Neither a way out of the folder nor the name of an unfinished file. */
const KEY = /^[\w-]+(?:\/[\w-]+)*\.[a-z]{1,8}$/;

/** Objects in the folder `rootDir`, one file each, with the key as its path. The folder must be there, as that of buffers. */
export function createFolderObjects(rootDir: string): ObjectStore {
  const pathOf = (key: string): string => {
    if (!KEY.test(key)) throw new Error(`The key '${key}' is not valid`);
    return join(rootDir, key);
  };
  /** A missing file is a missing object only if the folder of all is there. */
  const unlessAway = async (err: unknown): Promise<undefined> => {
    if (!isNoFile(err)) throw err;
    if (!(await isThere(rootDir))) throw folderAway(rootDir, err);
  };
  const find = (key: string) => stat(pathOf(key)).catch(unlessAway);

  /** Its folders below `rootDir`, which itself is never made here. */
  const makeFolders = async (key: string): Promise<void> => {
    const folders = key.split("/").slice(0, -1);
    for (const [depth] of folders.entries()) {
      const folder = join(rootDir, ...folders.slice(0, depth + 1));
      await mkdir(folder, { mode: 0o700 }).catch(async (err: unknown) => {
        if (errnoOf(err) === "ENOENT") throw folderAway(rootDir, err);
        if (errnoOf(err) !== "EEXIST") throw err;
      });
    }
  };

  const asked = whileThere<Omit<ObjectStore, "get">>(rootDir, {
    async put(key, body) {
      const path = pathOf(key);
      await makeFolders(key);
      if ((await find(key)) === undefined) {
        await removeUnfinished(path, STALE_MS);
        await writeWholeBy(
          path,
          async (file) => {
            for await (const piece of body) await file.appendFile(piece);
          },
          { once: true },
        );
      }
      // With the whole object there, those of writers that died, or that are still busy, are worth nothing.
      await removeUnfinished(path, 0);
    },

    async head(key) {
      const found = await find(key);
      return found && { sizeBytes: found.size };
    },

    async list(prefix, { limit, after = "" }) {
      const entries = (await readdir(join(rootDir, prefix), { withFileTypes: true }).catch(unlessAway)) ?? [];
      const left = entries
        .map((entry) => `${prefix}${entry.name}${entry.isDirectory() ? "/" : ""}`)
        .filter((entry) => entry > after && (entry.endsWith("/") || KEY.test(entry)))
        .sort();
      const page = left.slice(0, limit);
      const last = page.at(-1);
      return left.length > limit && last !== undefined ? { entries: page, next: last } : { entries: page };
    },

    async remove(key) {
      await rm(pathOf(key)).catch(unlessAway);
      // Folders that have become empty would stay forever. A writer that makes the same ones meanwhile is refused, and tries again.
      const folders = key.split("/").slice(0, -1);
      for (let depth = folders.length; depth > 0; depth--) {
        if (!(await removeEmpty(join(rootDir, ...folders.slice(0, depth))))) return;
      }
    },
  });
  return {
    ...asked,

    async *get(key, { from, to }) {
      const file = await open(pathOf(key), "r").catch(async (err: unknown) => {
        await unlessAway(err);
        throw err;
      });
      try {
        yield* rangeOf(file, from, to);
      } finally {
        await file.close();
      }
    },
  };
}

async function* rangeOf(file: FileHandle, from: number, to: number): AsyncGenerator<Uint8Array, void> {
  for (let at = from; at < to;) {
    const piece = Buffer.allocUnsafe(Math.min(READ_BYTES, to - at));
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    if (bytesRead === 0) throw new Error("The object is shorter than it was");
    yield piece.subarray(0, bytesRead);
    at += bytesRead;
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (err) {
    if (isNoFile(err)) return false;
    throw err;
  }
}

/** False when something is in the folder. */
async function removeEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (err) {
    if (isNoFile(err)) return true;
    if (["ENOTEMPTY", "EEXIST"].includes(errnoOf(err) ?? "")) return false;
    throw err;
  }
}

/** Removes files of the object that were begun and not published, once they are `ageMs` old. */
async function removeUnfinished(path: string, ageMs: number): Promise<void> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.`;
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix)) continue;
    const unfinished = join(folder, name);
    const age = await stat(unfinished).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      // Another writer of this object has removed it.
      () => undefined,
    );
    if (age !== undefined && age >= ageMs) await rm(unfinished, { force: true });
  }
}
