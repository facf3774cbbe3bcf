import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readConfigFile } from "../config/file.ts";
import { LOCAL_STORE, locationAt, locationsOf, type LocationConfig } from "../config/locations.ts";
import type { StackConfig } from "../config/stack.ts";
import { writeWhole } from "../disk/write-whole.ts";
import { errnoOf, messageOf } from "../model/errors.ts";

const storesSchema = z.object({
  /** The default first; the others are former defaults, whose buffers stay readable. */
  urls: z.array(z.string()).min(1),
  /** With which they were chosen. Without it, their names would be those of other buckets. */
  emulator: z.string().optional(),
});

/** The stores that `tyger up --store` has chosen. */
export type Stores = z.infer<typeof storesSchema>;

const fileOf = ({ paths }: Pick<StackConfig, "paths">): string => join(paths.stateDir, "stores.json");

/** Undefined when none was ever chosen. @throws Error when that is not known: the data folder must not be taken for the store */
export function readStores(config: Pick<StackConfig, "paths">): Stores | undefined {
  const file = fileOf(config);
  try {
    return storesSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (err) {
    if (errnoOf(err) === "ENOENT") return undefined;
    throw new Error(`The file '${file}', which names the stores of buffers, cannot be read: ${messageOf(err)}`, {
      cause: err,
    });
  }
}

/**
 * The stores once `chosen` is the default; undefined when only the data folder is left. That can always be read, so it is in the list
 * only as the default.
 */
export function withStore(known: Stores | undefined, chosen: string, emulator: string | undefined): Stores | undefined {
  const former = known?.urls.filter((url) => url !== chosen && url !== LOCAL_STORE) ?? [];
  if (chosen === LOCAL_STORE && former.length === 0) return undefined;
  const kept = emulator ?? known?.emulator;
  return { urls: [chosen, ...former], ...(kept !== undefined && { emulator: kept }) };
}

export interface SettledStores {
  stores: Stores | undefined;
  /** The variables of the servers. */
  variables: Record<string, string>;
  /** A newly chosen bucket, which has to be tried out. */
  bucket: Extract<LocationConfig, { bucket: string }> | undefined;
  /** Keeps the choice for the next `up`. */
  keep(): void;
}

/**
 * The stores of a stack, with `chosen` of `up --store` as the default, if it is given.
 * @throws Error in one sentence
 */
export function settleStores(config: StackConfig, chosen: string | undefined): SettledStores {
  const { inherited, paths } = config;
  if (chosen !== undefined) locationAt(chosen, paths.dataDir);
  // With and without a slash at its end, it is the same store.
  const url = chosen?.replace(/\/+$/, "");
  const known = readStores(config);
  const emulator = inherited["STORAGE_EMULATOR_HOST"];
  const stores = url === undefined ? known : withStore(known, url, emulator);
  const variables: Record<string, string> = {
    ...(stores && { TYGER_STORES: stores.urls.join(" ") }),
    ...(stores?.emulator !== undefined && { STORAGE_EMULATOR_HOST: stores.emulator }),
  };
  const { locations } = readConfigFile(inherited);
  if (stores && locations) throw new Error(contradiction(stores, config));
  const [first] = locationsOf(
    { locations },
    { TYGER_DATA_DIR: paths.dataDir, STORAGE_EMULATOR_HOST: emulator, ...variables },
  );
  const isNew = url !== undefined && "bucket" in first;
  return {
    stores,
    variables,
    bucket: isNew ? first : undefined,
    keep() {
      if (url === undefined) return;
      if (stores) writeWhole(fileOf(config), `${JSON.stringify(stores)}\n`, { durable: true });
      else rmSync(fileOf(config), { force: true });
    },
  };
}

function contradiction({ urls }: Stores, config: StackConfig): string {
  const lines = urls
    .map((url) => locationAt(url, config.paths.dataDir))
    .map((location) =>
      "bucket" in location
        ? `{ name: ${location.name}, bucket: ${location.bucket}, prefix: '${location.prefix}' }`
        : `{ name: ${location.name}, folder: ${location.folder} }`,
    );
  return [
    "The configuration file has 'locations', but 'tyger up --store' has chosen others",
    `add them to the file, ${lines.join(", ")}, and remove '${fileOf(config)}'`,
  ].join("; ");
}
