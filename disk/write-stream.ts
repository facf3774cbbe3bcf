import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { temporaryFor } from "./write-whole.ts";

/** As `writeWhole`, durable, for content that `write` appends bit by bit. */
export async function writeWholeBy(
  path: string,
  write: (file: FileHandle) => Promise<void>,
  mode = 0o600,
): Promise<void> {
  const temporary = temporaryFor(path);
  const file = await open(temporary, "wx", mode);
  try {
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (err) {
    await rm(temporary, { force: true });
    throw err;
  }
  await syncFolderLater(dirname(path));
}

/** As `syncFolder`, without blocking the process. */
export async function syncFolderLater(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
