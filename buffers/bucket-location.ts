import { CodedError, messageOf } from "../model/errors.ts";
import type { ObjectStore } from "../model/ports/objects.ts";
import type { BufferStore } from "../model/ports/store.ts";
import type { Bucket } from "./gcs/bucket.ts";
import { createGcsObjects } from "./gcs/gcs-objects.ts";
import { createGcsStore } from "./gcs/gcs-store.ts";
import { openBucket } from "./gcs/open-bucket.ts";
import { linesOf } from "./gcs/settings-lines.ts";
import type { LocationOptions, OpenLocation } from "./location.ts";

/** The object that is made when the location is new. Where it is missing later, the bucket or the prefix is another one. */
const MARK = "-location";

interface BucketLocation {
  name: string;
  bucket: string;
  prefix: string;
  endpoint?: string | undefined;
}

/** A location in a bucket. The bucket must be there; it is not made. */
export function openBucketLocation(
  location: BucketLocation,
  options: Pick<LocationOptions, "records" | "installationId">,
  bucket: Bucket = openBucket(location),
): OpenLocation {
  const { name } = location;
  const { records, installationId } = options;
  const folder = `${location.prefix}${installationId}/`;
  const lost = (): CodedError => {
    const mark = `gs://${location.bucket}/${folder}${MARK}`;
    const advice = "correct the bucket and its prefix, or create it if the data is lost";
    return new CodedError("Unavailable", `The object '${mark}' of the location '${name}' is missing; ${advice}`);
  };
  /** Whether the location has been used before. */
  const wasMade = async (): Promise<boolean> => {
    if (!(await records.has(name))) return false;
    if ((await bucket.find(folder + MARK)) === undefined) throw lost();
    return true;
  };
  const make = async (): Promise<boolean> => {
    if (await wasMade()) return true;
    await bucket.create(folder + MARK, new Uint8Array(), { metadata: {} });
    await records.add(name);
    return true;
  };
  /** Remembers that the location is there: from then on, its calls show by themselves when it is away. */
  let known: Promise<boolean> | undefined;
  const once = (ask: () => Promise<boolean>): Promise<boolean> => {
    if (known) return known;
    const asked = ask().then(
      (isThere) => {
        if (!isThere && known === asked) known = undefined;
        return isThere;
      },
      (err: unknown) => {
        if (known === asked) known = undefined;
        throw err;
      },
    );
    known = asked;
    return asked;
  };
  const mustBeMade = async (): Promise<void> => {
    if (!(await once(make))) await make();
  };
  const mustBeKnown = async (): Promise<void> => void (await once(wasMade));

  const store = createGcsStore(bucket, `${folder}buffers/`);
  const objects = createGcsObjects(bucket, `${folder}logs/`);
  const check = async (): Promise<void> => {
    await mustBeMade();
    if ((await bucket.find(folder + MARK)) === undefined) throw lost();
  };
  return {
    store: {
      ...after<BufferStore>(mustBeKnown, store),
      // The first call to a new location: blobs need a buffer.
      provision: async (...given) => (await mustBeMade(), store.provision(...given)),
    },
    objects: {
      ...after<Omit<ObjectStore, "get">>(mustBeKnown, objects),
      put: async (...given) => (await mustBeMade(), objects.put(...given)),
      async *get(...given) {
        await mustBeKnown();
        yield* objects.get(...given);
      },
    },
    check,
    async report(log) {
      await check();
      const of = { location: name, bucket: location.bucket };
      await bucket.settings().then(
        (settings) => {
          for (const { isWarning, message, facts } of linesOf(settings)) {
            log[isWarning ? "warn" : "info"]({ ...of, ...facts }, message);
          }
        },
        (err: unknown) => log.warn({ ...of, reason: messageOf(err) }, "the settings of the bucket cannot be read"),
      );
    },
  };
}

/** The same port, whose methods await `first` before all else. */
function after<T extends object>(first: () => Promise<void>, port: T): T {
  const methods = Object.entries(port).map(([name, method]: [string, (...given: unknown[]) => Promise<unknown>]) => [
    name,
    async (...given: unknown[]) => {
      await first();
      return method(...given);
    },
  ]);
  // The same keys with methods of the same shape.
  return Object.fromEntries(methods) as T;
}
