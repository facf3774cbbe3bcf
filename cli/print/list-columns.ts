import { type Fields, type ListColumn, type Type } from "../../contract/fields/field.ts";
import type { Printed } from "./printed.ts";
import { ageOf, type Column } from "./table.ts";

/** A column derived from several fields. */
export interface DerivedColumn extends ListColumn {
  textOf(item: Printed): string;
}

/** The columns of a list: those of a table's fields, including nested ones, and derived columns. */
export function columnsOf(fields: Fields, derived: readonly DerivedColumn[] = []): Column<Printed>[] {
  return [...ownColumns(fields, (item) => item), ...derived].toSorted((a, b) => a.at - b.at);
}

function ownColumns(fields: Fields, ownerOf: (item: Printed) => Printed | undefined): DerivedColumn[] {
  return Object.entries(fields).flatMap(([name, { type, columns = [] }]) => {
    const valueOf = (item: Printed): unknown => ownerOf(item)?.[name];
    const own = columns.map((column) => ({
      ...column,
      textOf: (item: Printed) => cellOf(type, valueOf(item), column),
    }));
    // An object that can also be a reference has a list of its own, which shows its fields.
    const nested = typeof type === "object" && "object" in type ? type.object.fields : {};
    return [...own, ...ownColumns(nested, (item) => valueOf(item) as Printed | undefined)];
  });
}

function cellOf(type: Type, value: unknown, { isAge }: ListColumn): string {
  if (isAge) return typeof value === "string" ? ageOf(value, Date.now()) : "";
  if (typeof type === "object" && "listOf" in type) return Array.isArray(value) ? value.map(textOf).join(" ") : "";
  if (typeof type === "object" && "mapOf" in type) {
    return Object.entries((value ?? {}) as Printed)
      .map(([key, member]) => `${key}=${textOf(member)}`)
      .join(",");
  }
  return textOf(value);
}

export function textOf(value: unknown): string {
  if (typeof value === "string" || typeof value === "number") return String(value);
  return value === undefined ? "" : JSON.stringify(value);
}
