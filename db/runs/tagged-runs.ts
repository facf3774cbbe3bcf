import { sql, type SQL } from "drizzle-orm";
import { runTags } from "../schema.ts";

export type Tag = readonly [key: string, value: string];

/**
 * How many entries of a tag are read at once: few enough for a page that one block fills, and enough for the cost of a
 * block to be that of its entries.
 */
const BLOCK = sql.raw("128");

/** A stretch of the entries of one status. Everything in it is SQL. */
interface Stretch {
  status: SQL;
  /** The instant and the id before which it starts. */
  before: SQL;
  /** The condition on `created_at` that ends it. */
  isSince: SQL;
  limit: number;
}

/**
 * The newest runs of a stretch that have all of several tags.
 *
 * Each step reads the next block of every tag. The tag whose block reaches back the furthest is the rarest one there, and
 * a run of the stretch that it covers has all tags only if it is in that block: so the other tags are looked up at these
 * instants alone, and the next step begins where the block ended. A step thus passes a block of each tag or more, however
 * common each is there.
 */
export function runsWithAll(tags: readonly Tag[], { status, before, isSince, limit }: Stretch): SQL {
  const isNext = sql`entry.key = tag.key and entry.value = tag.value and entry.status = ${status}
    and (entry.created_at, entry.run_id) < (walk.created_at, walk.run_id)`;
  // A tag with less than a block left ends the walk: no older run has it.
  const rarest = sql`
    select instants, coalesce(instants[${BLOCK}], '-infinity') as created_at, coalesce(ids[${BLOCK}], 0) as run_id
    from tag cross join lateral (
      select array_agg(created_at) as instants, array_agg(run_id) as ids from (
        select created_at, run_id from ${runTags} as entry
        where ${isNext} and ${isSince}
        order by created_at desc, run_id desc limit ${BLOCK}
      ) as entry
    ) as block order by created_at, run_id limit 1`;
  const matches = sql`
    select entry.created_at, entry.run_id from tag cross join ${runTags} as entry
    where ${isNext} and entry.created_at = any(block.instants)
      and (entry.created_at, entry.run_id) >= (block.created_at, block.run_id)
    group by entry.created_at, entry.run_id having count(*) = ${tags.length}`;
  const values = tags.map(([key, value]) => sql`(${key}, ${value})`);
  return sql`
    with recursive tag (key, value) as (values ${sql.join(values, sql`, `)}),
    walk (created_at, run_id, instants, ids) as (
      select ${before}, null::timestamptz[], null::bigint[]
      union all
      select block.created_at, block.run_id, found.instants, found.ids
      from walk cross join lateral (${rarest}) as block cross join lateral (
        select array_agg(created_at order by created_at desc, run_id desc) as instants,
          array_agg(run_id order by created_at desc, run_id desc) as ids
        from (${matches}) as match
      ) as found
      where walk.created_at > '-infinity'
    )
    select found.id, found.created_at
    from walk cross join unnest(walk.ids, walk.instants) as found (id, created_at) limit ${limit}`;
}
