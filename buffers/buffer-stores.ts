import { BUFFER_ID } from "../model/buffer/buffer.ts";
import type { BufferRecords } from "../model/ports/records.ts";
import type { BufferStore, BufferStores } from "../model/ports/store.ts";
import type { Locations } from "./locations.ts";

/** Buffers whose location is remembered: a location never changes. */
const MOST_KNOWN = 10_000;

/**
 * The name of the location that has a buffer: that of its row. With a single location, a buffer that is found there needs no
 * row, so that the data plane works while the database is away. A buffer without a row counts as one of the default location.
 * @throws CodedError Unavailable
 */
export function createLocator(
  { names, storeAt }: Pick<Locations, "names" | "storeAt">,
  buffers: Pick<BufferRecords, "find">,
): (bufferId: string) => Promise<string> {
  const known = new Map<string, string>();
  const remember = (bufferId: string, location: string): string => {
    if (known.size >= MOST_KNOWN) for (const oldest of known.keys()) if (known.delete(oldest)) break;
    known.set(bufferId, location);
    return location;
  };
  const isIn = (location: string, bufferId: string): Promise<boolean> =>
    storeAt(location)
      .exists(bufferId)
      // The row can name a location that is not away.
      .catch(() => false);

  return async (bufferId) => {
    const [first, ...others] = names;
    const location = known.get(bufferId);
    if (location !== undefined) return location;
    if (!BUFFER_ID.test(bufferId)) return first;
    if (others.length === 0 && (await isIn(first, bufferId))) return remember(bufferId, first);
    const row = await buffers.find(bufferId);
    return row === undefined ? first : remember(bufferId, row.location);
  };
}

/** The stores of all locations as one; `locate` says which of them has a buffer. */
export function createBufferStores(
  { names, storeAt }: Pick<Locations, "names" | "storeAt">,
  locate: (bufferId: string) => Promise<string>,
): BufferStores {
  const of = async (bufferId: string): Promise<BufferStore> => storeAt(await locate(bufferId));
  return {
    locations: names,
    at: storeAt,
    provision: async (id) => (await of(id)).provision(id),
    exists: async (id) => (await of(id)).exists(id),
    put: async (id, ...blob) => (await of(id)).put(id, ...blob),
    putWhole: async (id, ...blob) => (await of(id)).putWhole(id, ...blob),
    get: async (id, path) => (await of(id)).get(id, path),
    getWhole: async (id, ...blob) => (await of(id)).getWhole(id, ...blob),
    head: async (id, path) => (await of(id)).head(id, path),
    waitFor: async (id, ...wait) => (await of(id)).waitFor(id, ...wait),
    list: async (id, page) => (await of(id)).list(id, page),
    delete: async (id) => (await of(id)).delete(id),
  };
}
