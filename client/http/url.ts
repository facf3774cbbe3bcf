import type { ServerAddress } from "../address.ts";

/** Query parameters; a list repeats its name, undefined leaves it out. */
export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

const API_VERSION = "1.0";

/** The URL of a request, its query sorted as other clients send it. @throws Error for an id that a URL would resolve */
export function urlOf(
  address: ServerAddress,
  { path, query, isVersionless = false }: { path: string; query?: Query | undefined; isVersionless?: boolean },
): URL {
  const dots = /\/(?<name>\.{1,2})(?=[/?]|$)/.exec(path)?.groups?.["name"];
  // A URL would lead to another resource: 'run show .' to the list of all runs.
  if (dots !== undefined) throw new Error(`'${dots}' is not a valid id or name`);
  const url = new URL(`${address.kind === "tcp" ? address.baseUrl : "http://localhost"}${path}`);
  for (const [name, value] of Object.entries({ ...query })) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) url.searchParams.append(name, String(one));
    }
  }
  if (!isVersionless && !url.searchParams.has("api-version")) url.searchParams.set("api-version", API_VERSION);
  url.searchParams.sort();
  return url;
}

/** The query parameters that filter by tags; `name` is `tag` or `excludeTag`. */
export const tagQuery = (name: "tag" | "excludeTag", tags: Readonly<Record<string, string>> | undefined): Query =>
  Object.fromEntries(Object.entries(tags ?? {}).map(([key, value]) => [`${name}[${key}]`, value]));
