import { eq } from "drizzle-orm";
import type { Buffer, BufferState } from "../model/buffer/buffer.ts";
import { etagOf } from "../model/etag.ts";
import type { BufferRecords, NewBuffer } from "../model/ports/records.ts";
import { normalTimestamp } from "../model/time/timestamp.ts";
import type { Db } from "./client.ts";
import { present, shownRow } from "./row.ts";
import { buffers } from "./schema.ts";
import { isStorable, refuseUnstorable } from "./storable.ts";

/** The rows of buffers; their bytes are in the store. */
export function bufferRecords(db: Db): BufferRecords {
  return {
    create: async (buffer) => {
      const [created] = await insertBuffers(db, [buffer]);
      if (!created) throw new Error("An inserted buffer came back without its row");
      return created;
    },

    find: async (id) => {
      if (!isStorable(id)) return undefined;
      const [row] = await db.select().from(buffers).where(eq(buffers.id, id));
      return row && bufferOf(row);
    },
  };
}

/** Inserts all or none. */
export async function insertBuffers(db: Db, created: readonly NewBuffer[]): Promise<Buffer[]> {
  if (created.length === 0) return [];
  refuseUnstorable(created);
  const values = created.map(({ expiresAt, ...stated }) => ({
    ...stated,
    ...present({ expiresAt: expiresAt === undefined ? undefined : normalTimestamp(expiresAt) }),
  }));
  return (await db.insert(buffers).values(values).returning()).map(bufferOf);
}

function bufferOf(row: typeof buffers.$inferSelect): Buffer {
  const buffer = shownRow(buffers, row);
  const { id, isSoftDeleted = false, expiresAt, tags } = buffer;
  const state: BufferState = { id, isSoftDeleted, expiresAt: expiresAt && toMilliseconds(expiresAt), tags };
  return { ...buffer, eTag: etagOf(state) };
}

const toMilliseconds = (instant: string): string => new Date(instant).toISOString();
