import type { List, ListOptions } from "../../client/pages.ts";
import { type Host, writeAll } from "../terminal/host.ts";
import { type ListFormat, listOutputOf, type ListShape } from "../print/list-output.ts";
import type { Printed } from "../print/printed.ts";

/** How many items are shown without `--limit`. */
const DEFAULT_LIMIT = 1000;

interface Listing<T> {
  /** The list, with the options that this function adds. */
  list: (options: ListOptions) => List<T>;
  /** As the user gave it, sent as it is. */
  limit: number | undefined;
  shown: (item: T) => Printed;
  format: ListFormat;
  shape: ListShape;
}

/** Prints a list, each page as it arrives, so that a long list is never held in memory. */
export async function printList<T>(host: Host, { list, limit, shown, format, shape }: Listing<T>): Promise<void> {
  const output = await listOutputOf(format, shape, host.columns);
  const wanted = limit ?? DEFAULT_LIMIT;
  // One more than is shown, to learn whether there are more.
  const pages = list({ limit, pageSize: DEFAULT_LIMIT + 1 }).pages();
  let count = 0;
  let isTruncated = false;
  for await (const { items: page, hasMore } of pages) {
    isTruncated = limit === undefined && (count + page.length > wanted || (count + page.length === wanted && hasMore));
    const rest = page.slice(0, Math.max(0, wanted - count));
    if (rest.length > 0) await writeAll(host.stdout, output.page(rest.map(shown), count));
    count += rest.length;
    if (count >= wanted) break;
  }
  await writeAll(host.stdout, output.end(count));
  if (isTruncated) {
    const warning = `WARNING: only the first ${wanted} are shown; raise --limit to see more.`;
    await writeAll(host.stderr, host.hasColors.stderr ? `\u001B[33m${warning}\u001B[0m\n` : `${warning}\n`);
  }
}
