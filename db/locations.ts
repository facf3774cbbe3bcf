import { eq } from "drizzle-orm";
import type { LocationRecords } from "../model/ports/records.ts";
import type { Db } from "./client.ts";
import { locations } from "./schema.ts";

/** The locations that the installation has used; they stay when the configuration no longer has them. */
export function locationRecords(db: Db): LocationRecords {
  return {
    has: async (name) => (await db.$count(locations, eq(locations.name, name))) === 1,
    names: async () => (await db.select().from(locations)).map(({ name }) => name),
    add: async (name) => {
      await db.insert(locations).values({ name }).onConflictDoNothing();
    },
  };
}
