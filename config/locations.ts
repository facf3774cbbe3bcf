import { createHash } from "node:crypto";
import { z } from "zod";
import { LOCAL } from "../model/buffer/location.ts";

const NAME = /^[a-zA-Z0-9][\w.-]{0,62}$/;
/** @see https://cloud.google.com/storage/docs/buckets#naming */
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;
/** Segments without dots alone, each with a slash behind it once it is read. */
const PREFIX = /^(?!\/)(?:(?!\.{1,2}(?:\/|$))[\w.=-]+\/?)*$/;

const areDifferent = (values: readonly string[]): boolean => new Set(values).size === values.length;
const name = z.string().regex(NAME, "must be 1 to 63 letters, digits, '.', '-' and '_'");

const bucketSchema = z.strictObject({
  name,
  bucket: z.string().regex(BUCKET, "must be the name of a bucket, without gs://"),
  /** Before the names of all objects; the installation's id follows. */
  prefix: z
    .string()
    .regex(PREFIX, "must be segments of letters, digits, '.', '_', '=' and '-', with '/' between them")
    .transform(withSlash)
    .default(""),
  /** Of Google in a private network, or of an emulator. By default STORAGE_EMULATOR_HOST, or else Google. */
  endpoint: z.url({ protocol: /^https?$/, error: "must be a URL such as https://storage.example.com" }).optional(),
});

/** The locations of a configuration file, the default first; `path` reads the path of a folder. */
export const locationsSchema = (path: z.ZodType<string>) =>
  z
    .array(
      // By the key that it has, so that the message is about that kind.
      z.looseObject({}).transform((given, context) => {
        const folderSchema = z.strictObject({ name, /** It must exist. */ folder: path });
        const read = (Object.hasOwn(given, "bucket") ? bucketSchema : folderSchema).safeParse(given);
        if (read.success) return read.data;
        for (const issue of read.error.issues) {
          context.addIssue({ code: "custom", message: issue.message, path: [...issue.path] });
        }
        return z.NEVER;
      }),
    )
    .min(1)
    .refine((all) => areDifferent(all.map((location) => location.name.toLowerCase())), "two have the same name")
    .refine((all) => areDifferent(all.map(placeOf)), "two have the same folder, or the same bucket and prefix");

/** As in the configuration, with all defaults. */
export type LocationConfig = { name: string } & (
  | { folder: string }
  | { bucket: string; prefix: string; endpoint?: string | undefined }
);

/** The default first. */
export type LocationConfigs = readonly [LocationConfig, ...LocationConfig[]];

export interface LocationVariables {
  TYGER_DATA_DIR: string;
  /** Locations by their URLs, with spaces between them, the default first. `tyger up --store` sets it. */
  TYGER_STORES?: string | undefined;
  /** `host:port` or a URL: of an emulator, for buckets without an endpoint. */
  STORAGE_EMULATOR_HOST?: string | undefined;
}

/**
 * The locations of a server; without any in its configuration, its data folder is the only one.
 * @throws Error when both the file and the variable have some, or a URL is wrong
 */
export function locationsOf(
  { locations = [] }: { locations?: readonly LocationConfig[] | undefined },
  { TYGER_DATA_DIR: dataDir, TYGER_STORES: stores, STORAGE_EMULATOR_HOST: emulator }: LocationVariables,
): LocationConfigs {
  if (stores !== undefined && locations.length > 0) {
    throw new Error("Invalid configuration: 'locations' of the configuration file and 'tyger up --store' are both set");
  }
  const urls = stores?.split(" ").filter((url) => url !== "") ?? [];
  const stated = urls.length > 0 ? urls.map((url) => locationAt(url, dataDir)) : locations;
  const [first = { name: LOCAL, folder: dataDir }, ...others] = stated.map((location) =>
    "bucket" in location ? { endpoint: endpointOf(emulator), ...location } : location,
  );
  return [first, ...others];
}

/** The URL of the data folder. */
export const LOCAL_STORE = "local";

/**
 * The location that a URL names: `gs://BUCKET[/PREFIX]`, or `local` for the data folder. Its name is derived, because buffers belong to a
 * location by that.
 * @throws Error in one sentence
 */
export function locationAt(url: string, dataDir: string): LocationConfig {
  if (url === LOCAL_STORE) return { name: LOCAL, folder: dataDir };
  const [, bucket = "", prefix = ""] = /^gs:\/\/([^/]+)(?:\/(.*))?$/.exec(url) ?? [];
  const read = bucketSchema.omit({ name: true }).safeParse({ bucket, prefix });
  if (!read.success) {
    const wrong = bucket === "" ? "must be gs://BUCKET, gs://BUCKET/PREFIX or 'local'" : read.error.issues[0]?.message;
    throw new Error(`The store '${url}' is not valid: ${wrong ?? ""}`);
  }
  const place = `${read.data.bucket}/${read.data.prefix}`;
  // Names of buckets can be longer than ours.
  const hash = createHash("sha256").update(place).digest("hex").slice(0, 8);
  return { name: `${bucket.slice(0, 48)}-${hash}`, ...read.data };
}

/** As the API's URLs have it. */
function endpointOf(emulator: string | undefined): string | undefined {
  if (emulator === undefined) return undefined;
  return (/^https?:\/\//.test(emulator) ? emulator : `http://${emulator}`).replace(/\/+$/, "");
}

function withSlash(prefix: string): string {
  return prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/`;
}

const placeOf = (location: LocationConfig): string =>
  "folder" in location ? location.folder : `gs://${location.bucket}/${location.prefix} ${location.endpoint ?? ""}`;
