import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "../model/errors.ts";
import { syncFolder } from "./folders.ts";

export interface WholeFile {
  /** Of the new file; by default its user alone can read and write it. */
  mode?: number;
  /** Syncs the file and its folder: the file is whole also after a power failure. */
  durable?: boolean;
  /** Leaves a file that is already there as it is. */
  once?: boolean;
}

/**
 * The one way to write a small file that others read: they see the file before or the whole new one, also if this process
 * is killed. It is synchronous, for small content.
 * @returns false when `once` is set and there already was a file
 */
export function writeWhole(path: string, content: string | Uint8Array, options: WholeFile = {}): boolean {
  const { mode = 0o600, durable = false, once = false } = options;
  const temporary = temporaryFor(path);
  try {
    const descriptor = openSync(temporary, "wx", mode);
    try {
      writeFileSync(descriptor, content);
      if (durable) fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    const isOurs = once ? publishOnce(temporary, path) : publish(temporary, path);
    if (durable) syncFolder(dirname(path));
    return isOurs;
  } catch (err) {
    // Where the path leads through a file there is nothing to remove.
    if (errnoOf(err) !== "ENOENT" && errnoOf(err) !== "ENOTDIR") rmSync(temporary, { force: true });
    throw err;
  }
}

/** A name beside `path` that no other process uses: processes in different containers can have the same pid. */
export const temporaryFor = (path: string): string =>
  `${path}.${process.pid}-${Math.random().toString(36).slice(2, 12)}.new`;

function publish(temporary: string, path: string): true {
  renameSync(temporary, path);
  return true;
}

function publishOnce(temporary: string, path: string): boolean {
  try {
    linkSync(temporary, path);
    return true;
  } catch (err) {
    if (errnoOf(err) !== "EEXIST") throw err;
    return false;
  } finally {
    rmSync(temporary, { force: true });
  }
}
