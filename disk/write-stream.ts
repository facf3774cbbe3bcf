import { existsSync } from "node:fs";
import { link, open, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf } from "../model/errors.ts";
import { temporaryFor, type WholeFile } from "./write-whole.ts";

/** As `writeWhole`, durable, for content that `write` appends bit by bit. */
export async function writeWholeBy(
  path: string,
  write: (file: FileHandle) => Promise<void>,
  { once = false }: Pick<WholeFile, "once"> = {},
): Promise<void> {
  const temporary = temporaryFor(path);
  const file = await open(temporary, "wx", 0o600);
  try {
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await (once ? publishOnce(temporary, path) : rename(temporary, path));
  } catch (err) {
    await rm(temporary, { force: true });
    throw err;
  }
  await syncFolderLater(dirname(path));
}

async function publishOnce(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (err) {
    // The process whose file is there may have removed ours.
    if (errnoOf(err) !== "EEXIST" && !(errnoOf(err) === "ENOENT" && existsSync(path))) throw err;
  }
  await rm(temporary, { force: true });
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
