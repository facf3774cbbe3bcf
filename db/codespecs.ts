import { and, desc, eq, getTableColumns, gt, sql } from "drizzle-orm";
import type { CodespecVersion } from "../model/codespec/codespec.ts";
import type { CodespecRecords } from "../model/ports/records.ts";
import type { Db } from "./client.ts";
import { nameCursorOf, tokenOf } from "./continuation.ts";
import { piece, pieceOf } from "./piece.ts";
import { shownInstant } from "./row.ts";
import { codespecs } from "./schema.ts";
import { isStorable, refuseUnstorable } from "./storable.ts";

const MAX_VERSION = 2 ** 31 - 1;

/** The versions of codespecs: a version, once written, never changes. */
export function codespecRecords(db: Db): CodespecRecords {
  return {
    put: async (name, codespec, isSame) => {
      refuseUnstorable([name, codespec]);
      return db.transaction(async (tx) => {
        // Concurrent calls for one name take turns, so that none is refused.
        await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('codespec ' || ${name}, 0))`);
        const latest = await findLatest(tx, name);
        if (latest && isSame(latest.codespec, codespec)) return versionOf(latest);
        const version = (latest?.version ?? 0) + 1;
        const [row] = await tx.insert(codespecs).values({ name, version, codespec }).returning();
        if (!row) throw new Error("An inserted codespec came back without its row");
        return versionOf(row);
      });
    },

    find: async (name, version) => {
      if (!isStorable(name)) return undefined;
      if (version === undefined) {
        const latest = await findLatest(db, name);
        return latest && versionOf(latest);
      }
      if (!Number.isInteger(version) || version > MAX_VERSION || version < 1) return undefined;
      const isAsked = and(eq(codespecs.name, name), eq(codespecs.version, version));
      const [row] = await db.select().from(codespecs).where(isAsked);
      return row && versionOf(row);
    },

    list: async ({ limit, after, prefix = "" }) => {
      const cursor = after === undefined ? undefined : nameCursorOf(after);
      if (limit === 0 || !isStorable(prefix)) return { items: [] };
      const isListed = and(
        cursor === undefined ? undefined : gt(codespecs.name, cursor),
        // The range lets Postgres use the index; every character of a name sorts before `~`.
        prefix === "" ? undefined : sql`${codespecs.name} >= ${prefix} and ${codespecs.name} < ${`${prefix}~`}`,
        sql`starts_with(${codespecs.name}, ${prefix})`,
      );
      const entries = sql`
        select distinct on (name) name, version from ${codespecs} where ${isListed}
        order by name, version desc limit ${limit + 1}`;
      const listed = sql`
        select count(*)::integer as total, array_agg(name order by name) as names, array_agg(version order by name) as versions
        from (${entries}) as entry`;
      const bytesOfNext = sql`
        select octet_length(codespec::text) from ${codespecs}
        where name = listed.names[filled.n + 1] and version = listed.versions[filled.n + 1]`;
      const keys = sql`listed.names[filled.n] as name, listed.versions[filled.n] as version`;
      const rows = await db
        .select({ row: getTableColumns(codespecs), total: piece.total })
        .from(codespecs)
        .innerJoin(
          pieceOf(listed, bytesOfNext, keys),
          sql`${codespecs.name} = piece.name and ${codespecs.version} = piece.version`,
        )
        .orderBy(piece.n);
      const items = rows.slice(0, limit).map(({ row }) => versionOf(row));
      const last = items.at(-1);
      const hasMore = (rows[0]?.total ?? 0) > items.length;
      return hasMore && last ? { items, next: tokenOf(last.name) } : { items };
    },
  };
}

type CodespecRow = typeof codespecs.$inferSelect;

async function findLatest(db: Db, name: string): Promise<CodespecRow | undefined> {
  const newest = db.select().from(codespecs).where(eq(codespecs.name, name)).orderBy(desc(codespecs.version)).limit(1);
  return (await newest)[0];
}

const versionOf = ({ codespec, name, version, createdAt }: CodespecRow): CodespecVersion => ({
  ...codespec,
  name,
  version,
  createdAt: shownInstant(createdAt),
});
