import { quantityValue } from "../model/codespec/quantity.ts";
import { canonicalJson } from "../model/etag.ts";
import { type Field, fieldsOf, kindsOf, type Table, type Type } from "./fields/field.ts";

/**
 * Whether two objects of a table say the same: lists in order unless the field says otherwise, maps in any order, quantities
 * by value, and without the fields that are not compared. An empty object, map or list equals none.
 */
export function equalityOf(table: Table): (a: object, b: object) => boolean {
  const textOf = (value: object): string => canonicalJson(comparableObject(table, undefined, value));
  return (a, b) => textOf(a) === textOf(b);
}

function comparableObject(table: Table, as: string | undefined, value: object): unknown {
  const members = value as Readonly<Record<string, unknown>>;
  const variant = as ?? members[kindsOf(table)?.name ?? ""];
  return orNone(
    fieldsOf(table, typeof variant === "string" ? variant : undefined)
      .filter(([, { compared }]) => compared !== "not at all")
      .map(([name, field]) => [name, comparable(field.type, field, members[name])]),
  );
}

function comparable(type: Type, field: Field, value: unknown): unknown {
  if (value === undefined || value === null) return undefined;
  if (type === "quantity" && typeof value === "string") return quantityValue(value);
  if (typeof type === "string" || typeof value !== "object") return value;
  if (Array.isArray(value)) {
    if (!("listOf" in type) || value.length === 0) return undefined;
    const items = value.map((item) => comparable(type.listOf, field, item));
    return field.compared === "in any order" ? items.map(canonicalJson).toSorted() : items;
  }
  if ("mapOf" in type) {
    const { mapOf } = type;
    return orNone(Object.entries(value).map(([key, member]) => [key, comparable(mapOf, field, member)]));
  }
  if ("reference" in type) return comparableObject(type.reference, undefined, value);
  return "object" in type ? comparableObject(type.object, type.as, value) : value;
}

function orNone(entries: readonly (readonly [string, unknown])[]): unknown {
  const present = entries.filter(([, value]) => value !== undefined);
  return present.length === 0 ? undefined : Object.fromEntries(present);
}
