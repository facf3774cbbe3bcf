import { type Fields, type Type, tableOf } from "../../contract/fields/field.ts";

/** A member of a printed object, which is one line of its JSON. */
export type Printed = Readonly<Record<string, unknown>>;

/**
 * An answer as printed: the fields of its table in the table's order, empty ones left out, maps by key, instants with
 * `Z` and all their digits. Fields that are not in the table are not printed, so a newer server changes no output.
 */
export const printed = (fields: Fields, value: unknown): Printed => objectOf(fields, value) ?? {};

function objectOf(fields: Fields, value: unknown): Printed | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  return kept(
    Object.entries(fields)
      .filter(([, { isHidden }]) => !isHidden)
      .map(([name, { type }]) => [name, valueOf(type, (value as Printed)[name])]),
  );
}

/** Undefined if the object would be empty. A value can also be a reference. */
function valueOf(type: Type, value: unknown): unknown {
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value === "string") return type === "instant" ? printedInstant(value) : value;
  if (Array.isArray(value)) {
    const item = typeof type === "object" && "listOf" in type ? type.listOf : "text";
    return value.length === 0 ? undefined : value.map((one) => valueOf(item, one) ?? one);
  }
  if (typeof value !== "object") return value;
  const table = tableOf(type);
  if (table) return objectOf(table.fields, value);
  return kept(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function kept(entries: readonly [string, unknown][]): Printed | undefined {
  const present = entries.filter(([, member]) => member !== undefined);
  return present.length > 0 ? Object.fromEntries(present) : undefined;
}

/** UTC written as `Z`, without trailing zeros. */
export function printedInstant(text: string): string {
  const { seconds, fraction = "" } =
    /^(?<seconds>[^.]+?)(?:\.(?<fraction>[0-9]+?)0*)?(?:Z|\+00:00)$/.exec(text)?.groups ?? {};
  if (seconds === undefined) return text;
  return `${seconds}${fraction === "" || fraction === "0" ? "" : `.${fraction}`}Z`;
}
