import { sql, type SQL } from "drizzle-orm";

/** Rows are read about this much at a time, so that a page of large ones is never in memory whole. */
const PIECE_BYTES = 1024 * 1024;

/**
 * A subquery `piece (n, total)`: the ordinals of the first rows of a list that fit a piece, at least one, and how many rows the
 * list has. No row behind them is read.
 * @param listed selects one row: `total`, and arrays with the keys of the list in its order
 * @param bytesOfNext a scalar query for the size of row `filled.n + 1` of `listed`
 * @param keys the columns of `piece` beside `n` and `total`, from `filled` and `listed`
 */
export const pieceOf = (listed: SQL, bytesOfNext: SQL, keys: SQL): SQL => sql`(
  with recursive listed as materialized (${listed}),
  filled (n, bytes, total) as (
    select 0, 0::bigint, listed.total from listed
    union all
    select filled.n + 1, filled.bytes + next.bytes, filled.total
    from filled cross join listed cross join lateral (select coalesce((${bytesOfNext}), 0)::bigint) as next (bytes)
    where filled.n < filled.total and (filled.n = 0 or filled.bytes + next.bytes <= ${PIECE_BYTES})
  )
  select filled.n, filled.total, ${keys} from filled cross join listed where filled.n > 0
) as piece`;

/** Columns of `piece`, for the outer query. */
export const piece = { n: sql<number>`piece.n`, total: sql<number>`piece.total` };
