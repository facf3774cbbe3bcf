import { z } from "zod";
import { CodedError } from "../../model/errors.ts";
import { RUN_STATUSES, type RunStatus } from "../../model/run/run.ts";
import { logInstant, storedInstant } from "../../model/time/instant.ts";
import type { ParameterType, QueryOf, Route } from "../routes.ts";
import { parsedText } from "./input-schema.ts";

/** A repeated parameter counts with its first value, an empty one as absent. */
const first = (schema: z.ZodType): z.ZodType =>
  z.preprocess((value) => {
    const single: unknown = Array.isArray(value) ? value[0] : value;
    return single === "" ? undefined : single;
  }, schema.optional());

const PARAMETERS: Readonly<Record<Exclude<ParameterType, "tags">, z.ZodType>> = {
  text: first(z.string()),
  // Its form is the business of the service, which knows the bounds too.
  timeSpan: first(z.string()),
  boolean: first(
    z
      .string()
      .toLowerCase()
      .pipe(z.enum(["true", "false"]))
      .transform((text) => text === "true"),
  ),
  int32: first(
    z
      .string()
      .regex(/^\s*[+-]?[0-9]{1,10}\s*$/, "it is not a whole number")
      .transform(Number)
      .pipe(z.int32()),
  ),
  instant: first(parsedText(storedInstant)),
  logInstant: first(parsedText(logInstant)),
  statuses: z.unknown().transform(statusesOf).optional(),
};

/**
 * The schema of a route's query; parameters that it does not have are ignored.
 * @throws CodedError InvalidInput from its parsing, for an unknown status
 */
export function querySchema<R extends Route>({ query = {} }: R): z.ZodType<QueryOf<R>> {
  const named = Object.entries(query);
  const shape = named.flatMap(([name, { type }]) => (type === "tags" ? [] : [[name, PARAMETERS[type]] as const]));
  const maps = named.flatMap(([name, { type }]) => (type === "tags" ? [name] : []));
  const schema = z.looseObject(Object.fromEntries(shape)).transform((values) => ({
    ...values,
    ...Object.fromEntries(maps.map((name) => [name, mapOf(name, values)])),
  }));
  // The route says what comes out; the type is inferred from the same route.
  return schema as unknown as z.ZodType<QueryOf<R>>;
}

/** The map of repeated `name[<key>]=<value>`; the first value of a key counts. */
function mapOf(name: string, query: Readonly<Record<string, unknown>>): Record<string, string> | undefined {
  const map = new Map<string, string>();
  const prefix = `${name}[`;
  for (const [parameter, given] of Object.entries(query)) {
    if (!parameter.toLowerCase().startsWith(prefix) || !parameter.endsWith("]")) continue;
    const key = parameter.slice(prefix.length, -1);
    const value: unknown = Array.isArray(given) ? given[0] : given;
    if (typeof value === "string" && !map.has(key)) map.set(key, value);
  }
  return map.size === 0 ? undefined : Object.fromEntries(map);
}

function statusesOf(given: unknown): RunStatus[] | undefined {
  const texts = (Array.isArray(given) ? given : [given]).filter((text) => typeof text === "string" && text !== "");
  if (texts.length === 0) return undefined;
  return texts.map((text) => {
    const status = RUN_STATUSES.find((known) => known.toLowerCase() === String(text).toLowerCase());
    if (status === undefined) throw new CodedError("InvalidInput", `The status '${text}' is not known`);
    return status;
  });
}
