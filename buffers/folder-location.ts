import { constants } from "node:fs";
import { access, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "../disk/folders.ts";
import { CodedError, errnoOf, messageOf } from "../model/errors.ts";
import type { LocationRecords } from "../model/ports/records.ts";
import { folderAway } from "./filesystem/folder-away.ts";
import { createFilesystemStore } from "./filesystem/filesystem-store.ts";
import { createFolderObjects } from "./filesystem/folder-objects.ts";
import type { OpenLocation } from "./location.ts";

/** Buffers and logs are in these folders of a location, which are made once, when it is new. */
const FOLDERS = { buffers: "buffers", logs: "logs" } as const;

/** Without `creation`, the location is only what was stored there. */
export function openFolderLocation(
  { name, folder }: { name: string; folder: string },
  creation?: { records: LocationRecords; mayMake: boolean },
): OpenLocation {
  const folders = Object.values(FOLDERS).map((part) => join(folder, part));
  const [storeDir, logsDir] = [join(folder, FOLDERS.buffers), join(folder, FOLDERS.logs)];
  let made: Promise<void> | undefined;
  const make = async (): Promise<void> => {
    if (creation === undefined || (await creation.records.has(name))) return;
    if (creation.mayMake) makeFolder(folder, 0o700);
    for (const path of folders) {
      await mkdir(path, { mode: 0o700 }).catch((err: unknown) => {
        if (errnoOf(err) === "ENOENT") throw folderAway(folder, err);
        if (errnoOf(err) !== "EEXIST") throw err;
      });
    }
    // From here on, a missing folder is a disk that is away.
    await creation.records.add(name);
  };
  const mustBeMade = (): Promise<void> => {
    made ??= make().catch((err: unknown) => {
      made = undefined;
      throw err;
    });
    return made;
  };
  const store = createFilesystemStore(storeDir);
  const objects = createFolderObjects(logsDir);
  const check = async (): Promise<void> => {
    await mustBeMade();
    for (const path of folders) {
      // With the dot, a file is not taken for a folder.
      await access(`${path}/.`, constants.W_OK).catch((err: unknown) => {
        if (errnoOf(err) === "ENOENT") throw folderAway(path, err);
        throw new CodedError("Unavailable", `The folder '${path}' cannot be used: ${messageOf(err)}`, { cause: err });
      });
    }
  };
  return {
    storeDir,
    store: { ...store, provision: async (id) => (await mustBeMade(), store.provision(id)) },
    objects: { ...objects, put: async (key, body) => (await mustBeMade(), objects.put(key, body)) },
    check,
    report: check,
  };
}
