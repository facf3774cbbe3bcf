import type { ObjectStore } from "../../model/ports/objects.ts";
import type { Bucket } from "./bucket.ts";

/** As of the keys in a folder, which are kept when logs move. */
const KEY = /^[\w-]+(?:\/[\w-]+)*\.[a-z]{1,8}$/;
/** The most entries that a bucket lists at once. */
const PAGE = 1000;

/** Objects in a bucket, with the key after `prefix` as the name. */
export function createGcsObjects(bucket: Bucket, prefix: string): ObjectStore {
  const nameOf = (key: string): string => {
    if (!KEY.test(key)) throw new Error(`The key '${key}' is not valid`);
    return prefix + key;
  };
  return {
    async put(key, body) {
      const name = nameOf(key);
      if (await bucket.find(name)) return;
      // Undefined when another writer was faster, whose object stays.
      await bucket.create(name, body, { metadata: {} });
    },

    async head(key) {
      const found = await bucket.find(nameOf(key));
      return found && { sizeBytes: found.sizeBytes };
    },

    async *get(key, range) {
      yield* bucket.read(nameOf(key), range);
    },

    async list(start, { limit, after }) {
      const query = { prefix: prefix + start, delimiter: "/", limit: Math.min(limit, PAGE), after };
      const { names, prefixes, next } = await bucket.list(query);
      const entries = [...names, ...prefixes].map((name) => name.slice(prefix.length)).sort();
      return { entries, ...(next !== undefined && { next }) };
    },

    remove: (key) => bucket.remove(nameOf(key)),
  };
}
