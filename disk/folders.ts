import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";

// Synchronous: `node:fs/promises` takes 3 ms to load, which is a part of the time of each command.

/**
 * Makes a folder and those above it. As `mkdir` with `recursive`, which in Node never returns for a folder that /proc
 * refuses to make.
 */
export function makeFolder(folder: string, mode: number): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder), mode);
  try {
    mkdirSync(folder, { mode });
  } catch (err) {
    // Another process may have made it meanwhile.
    if (!existsSync(folder)) throw err;
  }
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
