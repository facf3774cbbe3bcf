import { constants } from "node:fs";
import { access, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "../disk/folders.ts";
import { LOCAL, type LocationNames } from "../model/buffer/location.ts";
import { CodedError, errnoOf, messageOf } from "../model/errors.ts";
import type { LogLocations } from "../model/ports/log.ts";
import type { ObjectStore } from "../model/ports/objects.ts";
import type { LocationRecords } from "../model/ports/records.ts";
import type { BufferStore } from "../model/ports/store.ts";
import type { BufferPlace } from "../model/run/pump.ts";
import { folderAway } from "./filesystem/folder-away.ts";
import { createFilesystemStore } from "./filesystem/filesystem-store.ts";
import { createFolderObjects } from "./filesystem/folder-objects.ts";

/** As the configuration has it. */
export interface Location {
  name: string;
  folder: string;
}

/** Buffers and logs are in these folders of a location, which are made once, when it is new. */
const FOLDERS = { buffers: "buffers", logs: "logs" } as const;

/** Every location of a server, with what is kept there. */
export interface Locations extends LogLocations {
  /** Those that new buffers can have. */
  names: LocationNames;
  /** @throws CodedError Unavailable for one that the configuration does not have */
  storeAt(location: string): BufferStore;
  /** Where a pump finds the buffers of a location. @throws as `storeAt` */
  placeAt(location: string): BufferPlace;
  /** Makes the folders of new locations, and logs one error for each location that is away: the others work. */
  prepare(log: { error(facts: object, message: string): void }): Promise<void>;
  /** @throws CodedError Unavailable when nothing can be stored in the default location */
  check(): Promise<void>;
}

/**
 * Opens locations in folders, the default first. The data folder can always be read: what an installation stored before it had
 * a configuration is there.
 */
export function openLocations(
  configured: readonly [Location, ...Location[]],
  { dataDir, records }: { dataDir: string; records: LocationRecords },
): Locations {
  const [first, ...others] = configured;
  const opened = new Map(
    configured.map((location) => [
      location.name,
      openLocation(location, { records, mayMake: location.folder === dataDir }),
    ]),
  );
  if (!opened.has(LOCAL)) opened.set(LOCAL, openLocation({ name: LOCAL, folder: dataDir }));
  const at = (name: string): OpenLocation => {
    const location = opened.get(name);
    if (location) return location;
    throw new CodedError("Unavailable", `The location '${name}' is not in the configuration of this server`);
  };
  return {
    names: [first.name, ...others.map(({ name }) => name)],
    default: first.name,
    storeAt: (name) => at(name).store,
    objectsAt: (name) => at(name).objects,
    placeAt: (name) => ({ storeDir: at(name).storeDir }),
    used: async () => (await records.names()).filter((name) => opened.has(name)),
    check: () => at(first.name).check(),

    async prepare(log) {
      for (const { name } of configured) {
        await at(name)
          .check()
          .catch((err: unknown) => {
            const facts = { location: name, reason: messageOf(err) };
            log.error(facts, "a location is away: its buffers and logs cannot be used until it is back");
          });
      }
    },
  };
}

interface OpenLocation {
  storeDir: string;
  store: BufferStore;
  objects: ObjectStore;
  check(): Promise<void>;
}

/** Without `creation`, the location is only what was stored there. */
function openLocation(
  { name, folder }: Location,
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
  return {
    storeDir,
    store: { ...store, provision: async (id) => (await mustBeMade(), store.provision(id)) },
    objects: { ...objects, put: async (key, body) => (await mustBeMade(), objects.put(key, body)) },
    async check() {
      await mustBeMade();
      for (const path of folders) {
        // With the dot, a file is not taken for a folder.
        await access(`${path}/.`, constants.W_OK).catch((err: unknown) => {
          if (errnoOf(err) === "ENOENT") throw folderAway(path, err);
          throw new CodedError("Unavailable", `The folder '${path}' cannot be used: ${messageOf(err)}`, { cause: err });
        });
      }
    },
  };
}
