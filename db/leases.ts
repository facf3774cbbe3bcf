import { and, eq, lte, or, sql } from "drizzle-orm";
import type postgres from "postgres";
import type { Leases } from "../model/ports/database.ts";
import { drizzleOf, endClient, openClient, type DatabaseServer, type Db } from "./client.ts";
import { answered } from "./failures.ts";
import { leases } from "./schema.ts";

/** Well within the life of a lease: a holder that gets no answer must have time to ask again. */
const ANSWER_WITHIN_MS = 5_000;

/**
 * Leases over a connection of their own, so that a busy pool delays no renewal. Each call is one statement and leaves nothing
 * in its session, so that a transaction pooler can be in between.
 */
export function openLeases(server: DatabaseServer): Leases & { close(): Promise<void> } {
  let connection = connect(server);
  const ask = async <T>(statement: (db: Db) => Promise<T>): Promise<T> => {
    const asked = connection;
    try {
      return await answered(statement(asked.db), ANSWER_WITHIN_MS);
    } catch (err) {
      // No answer can mean that the connection is dead without having noticed: the next statement would wait behind this one.
      if (connection === asked) connection = connect(server);
      void endClient(asked.client);
      throw err;
    }
  };
  return {
    async take(name, holder, lifeMs) {
      const expiresAt = sql`clock_timestamp() + ${lifeMs} * interval '1 millisecond'`;
      const isFree = or(eq(leases.holder, holder), lte(leases.expiresAt, sql`clock_timestamp()`));
      const taken = await ask((db) =>
        db
          .insert(leases)
          .values({ name, holder, expiresAt })
          .onConflictDoUpdate({ target: leases.name, set: { holder, expiresAt }, ...(isFree && { setWhere: isFree }) })
          .returning(),
      );
      return taken.length === 1;
    },

    async release(name, holder) {
      await ask((db) => db.delete(leases).where(and(eq(leases.name, name), eq(leases.holder, holder))));
    },

    close: () => endClient(connection.client),
  };
}

function connect(server: DatabaseServer): { client: postgres.Sql; db: Db } {
  const client = openClient(server, { max: 1 });
  return { client, db: drizzleOf(client) };
}
