import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "../model/errors.ts";

// Synchronous: `node:fs/promises` takes 3 ms to load, which is a part of the time of each command.

/**
 * Creates a folder and its parents unless they exist. Not `mkdir` with `recursive`, which in Node never returns for a folder
 * that /proc refuses to create.
 */
export function makeFolder(folder: string, mode: number): void {
  try {
    mkdirSync(folder, { mode });
  } catch (err) {
    if (errnoOf(err) === "EEXIST") return mustBeFolder(folder);
    if (errnoOf(err) !== "ENOENT" || existsSync(dirname(folder))) throw err;
    makeFolder(dirname(folder), mode);
    makeFolder(folder, mode);
  }
}

function mustBeFolder(path: string): void {
  if (statSync(path).isDirectory()) return;
  throw Object.assign(new Error(`ENOTDIR: '${path}' is not a folder`), { code: "ENOTDIR" });
}

/** Makes the names in a folder durable, as fsync of a file does for its content. */
export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
