import type { Query } from "./client.ts";

/** The query parameters that filter by tags; `name` is `tag` or `excludeTag`. */
export const tagQuery = (name: "tag" | "excludeTag", tags: Readonly<Record<string, string>> | undefined): Query =>
  Object.fromEntries(Object.entries(tags ?? {}).map(([key, value]) => [`${name}[${key}]`, value]));
