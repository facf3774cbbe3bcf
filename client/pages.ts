import type { CallOptions, Http } from "./http/http.ts";
import type { Query } from "./http/url.ts";

/** Few requests for a long list, and little waste for a program that needs only the first items. */
const PAGE_SIZE = 200;

export interface ListOptions extends CallOptions {
  /** How many items at most; all unless given. */
  limit?: number | undefined;
  /** How many to ask for at a time where there is no limit. */
  pageSize?: number | undefined;
}

export interface Page<T> {
  items: T[];
  /** Whether the server has more behind this page. */
  hasMore: boolean;
}

/** The items of a list, fetched page by page as they are asked for. */
export interface List<T> extends AsyncIterable<T> {
  pages(): AsyncGenerator<Page<T>, void, undefined>;
}

/** The list at `path`, over as many pages as it takes. */
export function listOf<T>(http: Http, path: string, query: Query, options: ListOptions): List<T> {
  const { limit, pageSize = PAGE_SIZE, signal } = options;
  async function* pages(): AsyncGenerator<Page<T>, void, undefined> {
    let next: { path: string; query?: Query } | undefined = { path, query: { ...query, limit: limit ?? pageSize } };
    while (next) {
      type Answer = { items?: T[]; nextLink?: string };
      const { value }: { value: Answer } = await http.json<Answer>({ method: "GET", ...next, signal });
      yield { items: value.items ?? [], hasMore: Boolean(value.nextLink) };
      next = value.nextLink ? { path: `/${value.nextLink.replace(/^\//, "")}` } : undefined;
    }
  }
  return {
    pages,
    async *[Symbol.asyncIterator]() {
      let count = 0;
      for await (const { items } of pages()) {
        for (const item of items) {
          if (limit !== undefined && count >= limit) return;
          yield item;
          count += 1;
        }
        if (limit !== undefined && count >= limit) return;
      }
    },
  };
}
