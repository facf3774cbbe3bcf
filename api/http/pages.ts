import type { FastifyReply } from "fastify";
import { CodedError } from "../../model/errors.ts";
import type { Page, PageQuery } from "../../model/ports/records.ts";
import { turns } from "../../waiting/turns.ts";
import { pathAndQueryOf } from "./query.ts";
import type { Chunk, SendStream } from "./streams.ts";

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 2000;
/** A page ends before the piece with which it would be longer. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024;
/** While a piece is made, it is in memory several times: as rows, objects and text. */
const MADE_AT_ONCE = 4;

interface Request {
  query: { limit?: number | undefined; _ct?: string | undefined };
  url: string;
}

interface Listing<T> {
  /** Fewer items than the limit, and where the rest starts, if they are large. */
  list: (page: PageQuery) => Promise<Page<T>>;
  /** The JSON text of an item. */
  textOf: (item: T) => string;
}

/**
 * Answers with one page of a list, or with the empty one that a limit of 0 asks for. Rejects with CodedError InvalidInput for
 * a negative limit.
 */
export type SendPage = <T>(request: Request, reply: FastifyReply, listing: Listing<T>) => Promise<void>;

/** Makes the piece that follows `count` items and starts `after` a cursor. */
type Make = (count: number, after: string | undefined) => Promise<{ text: string; count: number; next?: string }>;

/**
 * The sender of an app's pages. They are sent as they are read, and not faster than the client reads: for each client one piece
 * is in memory, and few are being made at a time, however many clients there are.
 */
export function createPages(sendStream: SendStream): SendPage {
  const inTurn = turns(MADE_AT_ONCE);
  return async ({ query, url }, reply, { list, textOf }) => {
    const limit = Math.min(query.limit ?? DEFAULT_LIMIT, MAX_LIMIT);
    if (limit < 0) throw new CodedError("InvalidInput", "Limit must be a non-negative integer");
    const make: Make = (count, after) =>
      inTurn(async () => {
        const { items, ...next } = limit === 0 ? { items: [] } : await list({ limit: limit - count, after });
        return { text: items.map(textOf).join(","), count: items.length, ...next };
      });
    await sendStream(reply, {
      contentType: "application/json; charset=utf-8",
      headersFirst: false,
      isFinite: true,
      chunks: () => chunksOf(make, limit, query._ct, url),
    });
  };
}

async function* chunksOf(
  make: Make,
  limit: number,
  after: string | undefined,
  url: string,
): AsyncGenerator<Chunk, void> {
  let [count, sizeBytes, next] = [0, 0, after];
  do {
    const piece = await make(count, next);
    const text = Buffer.from(`${count === 0 ? '{"items":[' : ","}${piece.text}`);
    sizeBytes += text.byteLength;
    if (count > 0 && sizeBytes > MAX_PAGE_BYTES) break;
    ({ next } = piece);
    // None is left if the rest is gone meanwhile.
    if (count > 0 && piece.count === 0) break;
    count += piece.count;
    yield text;
  } while (next !== undefined && count < limit);
  yield next === undefined ? "]}" : `],"nextLink":${JSON.stringify(nextLinkOf(url, next))}}`;
}

/** The path and query of this request with the continuation token in place. */
function nextLinkOf(url: string, token: string): string {
  const [path, query] = pathAndQueryOf(url);
  const kept = query.split("&").filter((part) => part !== "" && !part.startsWith("_ct="));
  return `${path}?${[...kept, `_ct=${encodeURIComponent(token)}`].join("&")}`;
}
