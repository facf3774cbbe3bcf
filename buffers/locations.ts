import { LOCAL, type LocationNames } from "../model/buffer/location.ts";
import { CodedError, messageOf } from "../model/errors.ts";
import type { LogLocations } from "../model/ports/log.ts";
import type { BufferStore } from "../model/ports/store.ts";
import { openFolderLocation } from "./folder-location.ts";
import type { Location, LocationLog, LocationOptions, OpenLocation } from "./location.ts";

/** Every location of a server, with what is kept there. */
export interface Locations extends LogLocations {
  /** Those that new buffers can have. */
  names: LocationNames;
  /** @throws CodedError Unavailable for one that the configuration does not have */
  storeAt(location: string): BufferStore;
  /** Where pumps of this machine find the buffers of a location; undefined when they need the data plane. @throws as `storeAt` */
  placeAt(location: string): { storeDir: string } | undefined;
  /** Makes locations that are new, and reports on each; one error for each that is away: the others work. */
  prepare(log: LocationLog): Promise<void>;
  /** @throws CodedError Unavailable when nothing can be stored in the default location */
  check(): Promise<void>;
}

/**
 * Opens locations, the default first. The data folder can always be read: what an installation stored before it had a
 * configuration is there. The code for buckets is loaded only if there is one.
 */
export async function openLocations(
  configured: readonly [Location, ...Location[]],
  options: LocationOptions,
): Promise<Locations> {
  const { dataDir, records } = options;
  const open = async (location: Location): Promise<OpenLocation> => {
    if ("folder" in location) {
      return openFolderLocation(location, { records, mayMake: location.folder === dataDir });
    }
    const { openBucketLocation } = await import("./bucket-location.ts");
    return openBucketLocation(location, options);
  };
  const opened = new Map<string, OpenLocation>();
  for (const location of configured) opened.set(location.name, await open(location));
  if (!opened.has(LOCAL)) opened.set(LOCAL, openFolderLocation({ name: LOCAL, folder: dataDir }));
  const at = (name: string): OpenLocation => {
    const location = opened.get(name);
    if (location) return location;
    throw new CodedError("Unavailable", `The location '${name}' is not in the configuration of this server`);
  };
  const [first, ...others] = configured;
  return {
    names: [first.name, ...others.map(({ name }) => name)],
    default: first.name,
    storeAt: (name) => at(name).store,
    objectsAt: (name) => at(name).objects,
    placeAt(name) {
      const { storeDir } = at(name);
      return storeDir === undefined ? undefined : { storeDir };
    },
    used: async () => (await records.names()).filter((name) => opened.has(name)),
    check: () => at(first.name).check(),

    async prepare(log) {
      const report = async ({ name }: Location): Promise<void> => {
        await at(name)
          .report(log)
          .catch((err: unknown) => {
            const facts = { location: name, reason: messageOf(err) };
            log.error(facts, "a location is away: its buffers and logs cannot be used until it is back");
          });
      };
      // One that is away must not delay the others.
      await Promise.all(configured.map(report));
    },
  };
}
