import { getTableColumns, type InferSelectModel } from "drizzle-orm";
import type { PgTable } from "drizzle-orm/pg-core";
import { nanosecondsOf, timestampOf } from "../model/time/timestamp.ts";

/**
 * The instant as Postgres writes it (`2024-01-25 18:20:49.95+00`) in the form that is shown. It is UTC unless a pooler has lost
 * the time zone of our sessions.
 */
export function shownInstant(text: string): string {
  const instant = text.replace(" ", "T");
  if (instant.endsWith("+00")) return `${instant}:00`;
  const nanoseconds = nanosecondsOf(instant.replace(/[+-]\d\d$/, "$&:00"));
  if (nanoseconds === undefined) throw new Error("The database writes instants in an unknown form");
  return timestampOf(nanoseconds);
}

/** The same for a column that can be empty. */
export const shownIfAny = (text: string | null): string | undefined => (text === null ? undefined : shownInstant(text));

/** `fields` without those that have no value: in JSON, their keys are absent. */
export function present<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined);
  // The same keys, less those without a value.
  return Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> };
}

/** Columns that can be empty: nullable ones, flags and maps. */
type Emptyable<V> = null extends V ? true : V extends boolean ? true : V extends Record<string, string> ? true : false;
type ShownRow<Row> = { [K in keyof Row as Emptyable<Row[K]> extends true ? never : K]: Row[K] } & {
  [K in keyof Row as Emptyable<Row[K]> extends true ? K : never]?: NonNullable<Row[K]>;
};

/** All columns of a row, in their order, as clients see them: instants as text, and no key for null, `false` and `{}`. */
export function shownRow<T extends PgTable>(table: T, row: InferSelectModel<T>): ShownRow<InferSelectModel<T>> {
  const shown = new Map<string, unknown>();
  for (const [name, { columnType }] of Object.entries(getTableColumns(table))) {
    const value = (row as Record<string, unknown>)[name];
    if (isEmpty(value)) continue;
    shown.set(name, columnType === "PgTimestampString" ? shownInstant(String(value)) : value);
  }
  // The same keys, less those that are empty.
  return Object.fromEntries(shown) as ShownRow<InferSelectModel<T>>;
}

const isEmpty = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  value === false ||
  (typeof value === "object" && Object.keys(value).length === 0);
