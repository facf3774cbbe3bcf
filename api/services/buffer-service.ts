import { chooseLocation, type LocationNames } from "../../model/buffer/location.ts";
import { BUFFER_ID, type Buffer } from "../../model/buffer/buffer.ts";
import type { BUFFER } from "../../contract/fields/buffer-fields.ts";
import type { InputOf } from "../../contract/fields/message-types.ts";
import { checkMember, type Caller } from "../../model/caller.ts";
import { CodedError, notFound } from "../../model/errors.ts";
import type { BufferRecords } from "../../model/ports/records.ts";
import type { BufferStores } from "../../model/ports/store.ts";
import { checkTags } from "../../model/tags.ts";
import { parseTimeSpan } from "../../model/time/time-span.ts";
import { newBufferId } from "../../runs/buffers.ts";

const ACCESS_SECONDS = { least: 30, most: 3600 } as const;

/** The permission of a signed URL, its life, and the URL at which the client can reach it. */
export interface AccessGrant {
  bufferId: string;
  writeable: boolean;
  ttlSeconds: number;
  /** The URL before `/containers/` for a client over TCP; without it the URL is one of the data plane's socket. */
  baseUrl?: string | undefined;
}

export type SignAccess = (grant: AccessGrant) => string;

export interface BufferService {
  /** Each is a storage account of the same name. */
  locations: LocationNames;
  /** @throws CodedError InvalidInput */
  create(caller: Caller, input: InputOf<typeof BUFFER>): Promise<Buffer>;
  /** @throws CodedError NotFound, also when the buffer is not in the asked state */
  get(caller: Caller, id: string, softDeleted: boolean): Promise<Buffer>;
  /** A newly signed URL. @throws CodedError NotFound, BadRequest for a malformed `ttl`, InvalidInput */
  access(
    caller: Caller,
    id: string,
    query: { writeable: boolean; ttl?: string | undefined; baseUrl?: string | undefined },
  ): Promise<string>;
}

export function createBufferService(buffers: BufferRecords, store: BufferStores, sign: SignAccess): BufferService {
  return {
    locations: store.locations,

    async create(caller, { location: requested, ...stated }) {
      checkMember(caller);
      checkTags(stated.tags);
      const location = chooseLocation(store.locations, requested);
      const id = newBufferId();
      // A record must always have its folder in the store; a folder without a record does no harm.
      await store.at(location).provision(id);
      return buffers.create({ ...stated, id, location });
    },

    async get(caller, id, softDeleted) {
      checkMember(caller);
      const buffer = BUFFER_ID.test(id) ? await buffers.find(id) : undefined;
      if (buffer === undefined || (buffer.isSoftDeleted ?? false) !== softDeleted) throw notFound();
      return buffer;
    },

    async access(caller, id, { writeable, ttl, baseUrl }) {
      checkMember(caller);
      const ttlSeconds = accessSecondsOf(ttl);
      // Only the store decides: a soft-deleted buffer stays readable until it is removed.
      if (!BUFFER_ID.test(id) || !(await store.exists(id))) throw notFound();
      return sign({ bufferId: id, writeable, ttlSeconds, baseUrl });
    },
  };
}

function accessSecondsOf(ttl: string | undefined): number {
  if (ttl === undefined) return ACCESS_SECONDS.most;
  let seconds: number;
  try {
    seconds = parseTimeSpan(ttl);
  } catch (err) {
    throw new CodedError("BadRequest", `The ttl '${ttl}' is not of the form [d.]hh:mm[:ss]`, { cause: err });
  }
  if (seconds < ACCESS_SECONDS.least || seconds > ACCESS_SECONDS.most) {
    throw new CodedError("InvalidInput", `The ttl '${ttl}' is not between 30 seconds and 1 hour`);
  }
  return seconds;
}
