import { z } from "zod";
import { CodedError } from "../../model/errors.ts";
import { logInstant, storedInstant } from "../../model/time/instant.ts";
import { parsedText } from "../../contract/input-schema.ts";
import type { Page, PageQuery } from "../../model/ports/records.ts";
import { RUN_STATUSES, type RunStatus } from "../../model/run/run.ts";

/** Query parameters. A repeated one counts with its first value, an empty one as absent. */
const first = <S extends z.ZodType>(schema: S) =>
  z.preprocess((value) => {
    const single: unknown = Array.isArray(value) ? value[0] : value;
    return single === "" ? undefined : single;
  }, schema.optional());

export const boolParameter = first(
  z
    .string()
    .toLowerCase()
    .pipe(z.enum(["true", "false"]))
    .transform((text) => text === "true"),
);

export const intParameter = first(
  z
    .string()
    .regex(/^\s*[+-]?[0-9]{1,10}\s*$/, "it is not a whole number")
    .transform(Number)
    .pipe(z.int32()),
);

export const textParameter = first(z.string());
/** Microseconds: what is shown is what is compared. */
export const sinceParameter = first(parsedText(storedInstant));
/** All nine digits, as log lines have them. */
export const logSinceParameter = first(parsedText(logInstant));

export const pageQuery = z.looseObject({ limit: intParameter, _ct: textParameter });

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 2000;

/**
 * One page of a list, or the empty one that a limit of 0 asks for.
 * @throws CodedError InvalidInput for a negative limit
 */
export async function pageOf<T>(
  query: z.infer<typeof pageQuery>,
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

/** The two parts of a request's URL; a query may hold further question marks. */
export function pathAndQueryOf(url: string): [path: string, query: string] {
  const at = url.indexOf("?");
  return at < 0 ? [url, ""] : [url.slice(0, at), url.slice(at + 1)];
}

/** The filter of repeated `tag[<key>]=<value>`; the first value of a key counts. */
export function tagsOf(query: Readonly<Record<string, unknown>>): Record<string, string> | undefined {
  const tags = new Map<string, string>();
  for (const [name, given] of Object.entries(query)) {
    const key = /^tag\[(?<key>.*)\]$/i.exec(name)?.groups?.["key"];
    const value: unknown = Array.isArray(given) ? given[0] : given;
    if (key !== undefined && typeof value === "string" && !tags.has(key)) tags.set(key, value);
  }
  return tags.size === 0 ? undefined : Object.fromEntries(tags);
}

/**
 * The statuses of a filter, in any case.
 * @throws CodedError InvalidInput
 */
export function statusesOf(given: unknown): RunStatus[] | undefined {
  const texts = (Array.isArray(given) ? given : [given]).filter((text) => typeof text === "string" && text !== "");
  if (texts.length === 0) return undefined;
  return texts.map((text) => {
    const status = RUN_STATUSES.find((known) => known.toLowerCase() === String(text).toLowerCase());
    if (status === undefined) throw new CodedError("InvalidInput", `The status '${text}' is not known`);
    return status;
  });
}
