import { z } from "zod";
import { CodedError } from "../../model/errors.ts";
import { canonicalQuantity } from "../../model/codespec/quantity.ts";

/** The members that may be missing are missing, never undefined. */
type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> };

interface ObjectRules {
  /** Handling of a property that is not in the shape. */
  unknown?: "reject" | "ignore";
  /** Properties that must be spelled exactly; the others match in any case. */
  exact?: readonly string[];
}

/**
 * An object of a request body: property names in any case, null and empty optional members (`""`, `[]`, `{}`) count
 * as missing, also when they become empty by that rule.
 */
export function inputObject<S extends z.ZodRawShape>(shape: S, { unknown = "reject", exact = [] }: ObjectRules = {}) {
  const required = Object.entries(shape)
    .filter(([, member]) => !z.safeParse(member, undefined).success)
    .map(([name]) => name);
  const foldable = Object.keys(shape).filter((name) => !exact.includes(name));
  const spelling = new Map(foldable.map((name) => [name.toLowerCase(), name]));
  const nameOf = (key: string): string => spelling.get(key.toLowerCase()) ?? key;
  const schema = unknown === "ignore" ? z.object(shape) : z.strictObject(shape);

  const fold = (value: unknown, ctx: z.RefinementCtx): unknown => {
    if (!isObject(value)) return value;
    const folded = new Map<string, unknown>();
    for (const [key, member] of Object.entries(value)) {
      const name = nameOf(key);
      const isMissing =
        Object.hasOwn(shape, name) && (member === null || (!required.includes(name) && isEmpty(member)));
      if (isMissing) folded.delete(name);
      else folded.set(name, member);
    }
    const missing = required.filter((name) => !folded.has(name)).map((name) => `'${name}'`);
    if (missing.length > 0) {
      ctx.addIssue({
        code: "custom",
        message: `the object is missing required properties including: ${missing.join(", ")}`,
        input: value,
      });
      return z.NEVER;
    }
    return Object.fromEntries(folded);
  };

  return z.preprocess(fold, schema).transform((value) => {
    const kept = Object.entries(value).filter(
      ([name, member]) => member !== undefined && (required.includes(name) || !isEmpty(member)),
    );
    // Only members that the type calls optional were taken out.
    return Object.fromEntries(kept) as Present<z.output<typeof schema>>;
  });
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isEmpty = (value: unknown): boolean =>
  value === "" || (typeof value === "object" && value !== null && Object.keys(value).length === 0);

/** A whole number, which may come as text. */
export const inputInt = (min: number, max = 2 ** 31 - 1) =>
  z.preprocess(
    (value) => (typeof value === "string" && /^\s*-?[0-9]+\s*$/.test(value) ? Number(value) : value),
    z.int().min(min).max(max),
  );

/**
 * A map whose values are kept as they are, empty ones included. By way of a Map, for a record would leave out the key
 * `__proto__`, which an environment variable or a tag may have.
 */
export const inputMap = <V extends z.ZodType>(value: V) =>
  z
    .preprocess(
      (given) => (isObject(given) ? new Map(Object.entries(given)) : given),
      z.map(z.string(), value, "Invalid input: expected an object"),
    )
    .transform((members): Record<string, z.output<V>> => Object.fromEntries(members));

/** Text that `parse` brings into its stored form; a CodedError of it becomes a problem of this value. */
export const parsedText = (parse: (text: string) => string) =>
  z.string().transform((text, ctx) => {
    try {
      return parse(text);
    } catch (err) {
      if (!(err instanceof CodedError)) throw err;
      ctx.addIssue({ code: "custom", message: err.message, input: text });
      return z.NEVER;
    }
  });

/** A Kubernetes quantity, as JSON text or number, in its canonical form. */
export const quantitySchema = z.preprocess(
  (value) => (typeof value === "number" ? String(value) : value),
  parsedText(canonicalQuantity),
);
