import { CodedError } from "../../model/errors.ts";
import type { Page, PageQuery } from "../../model/ports/records.ts";

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 2000;

/**
 * One page of a list, or the empty one that a limit of 0 asks for.
 * @throws CodedError InvalidInput for a negative limit
 */
export async function pageOf<T>(
  query: { limit?: number | undefined; _ct?: string | undefined },
  url: string,
  list: (page: PageQuery) => Promise<Page<T>>,
): Promise<{ items: T[]; nextLink?: string }> {
  const limit = Math.min(query.limit ?? DEFAULT_LIMIT, MAX_LIMIT);
  if (limit < 0) throw new CodedError("InvalidInput", "Limit must be a non-negative integer");
  if (limit === 0) return { items: [] };
  const { items, next } = await list({ limit, after: query._ct });
  return { items, ...(next !== undefined && { nextLink: nextLinkOf(url, next) }) };
}

/** The path and query of this request with the continuation token in place. */
function nextLinkOf(url: string, token: string): string {
  const [path, query] = pathAndQueryOf(url);
  const kept = query.split("&").filter((part) => part !== "" && !part.startsWith("_ct="));
  return `${path}?${[...kept, `_ct=${encodeURIComponent(token)}`].join("&")}`;
}

/** The two parts of a request's URL; a query can contain more question marks. */
export function pathAndQueryOf(url: string): [path: string, query: string] {
  const at = url.indexOf("?");
  return at < 0 ? [url, ""] : [url.slice(0, at), url.slice(at + 1)];
}
