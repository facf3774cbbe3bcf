import type { Client, Query } from "./client.ts";
import { type Host, writeAll } from "../terminal/host.ts";
import { type Item, type ListFormat, listOutputOf, type ListShape } from "../print/list-output.ts";

/** How many are shown unless `--limit` says otherwise. */
const DEFAULT_LIMIT = 1000;

interface Listing {
  path: string;
  query: Query;
  /** As the user gave it, sent as it is. */
  limit: number | undefined;
  shown: (item: unknown) => Item;
  format: ListFormat;
  shape: ListShape;
}

/** Prints a list, page by page as they come. */
export async function printList(client: Client, host: Host, listing: Listing): Promise<void> {
  const { path, query, limit, shown, format, shape } = listing;
  const output = await listOutputOf(format, shape, host.columns);
  const wanted = limit ?? DEFAULT_LIMIT;
  // One more than is shown tells whether there are more.
  const items = itemsOf(client, path, { ...query, limit: limit ?? DEFAULT_LIMIT + 1 });
  let count = 0;
  let isTruncated = false;
  for await (const { page, hasMore } of items) {
    isTruncated = limit === undefined && (count + page.length > wanted || (count + page.length === wanted && hasMore));
    const rest = page.slice(0, Math.max(0, wanted - count));
    if (rest.length > 0) await writeAll(host.stdout, output.page(rest.map(shown), count));
    count += rest.length;
    if (count >= wanted) break;
  }
  await writeAll(host.stdout, output.end(count));
  if (isTruncated) {
    const warning = `WARNING: only the first ${wanted} are shown; raise --limit to see more.`;
    await writeAll(host.stderr, host.hasColours.stderr ? `\u001B[33m${warning}\u001B[0m\n` : `${warning}\n`);
  }
}

async function* itemsOf(
  client: Client,
  path: string,
  query: Query,
): AsyncGenerator<{ page: unknown[]; hasMore: boolean }> {
  let next: { path: string; query?: Query } | undefined = { path, query };
  while (next) {
    const { value }: { value: { items?: unknown[]; nextLink?: string } } = await client.json({
      method: "GET",
      ...next,
    });
    yield { page: value.items ?? [], hasMore: Boolean(value.nextLink) };
    next = value.nextLink ? { path: `/${value.nextLink.replace(/^\//, "")}` } : undefined;
  }
}
