/** The instant as Postgres writes it (`2024-01-25 18:20:49.95+00`) in the form that is shown. */
export const shownInstant = (text: string): string => `${text.replace(" ", "T")}:00`;

/** The same for a column that may be empty. */
export const shownIfAny = (text: string | null): string | undefined => (text === null ? undefined : shownInstant(text));

/** `fields` without those that have no value: an absent key is how JSON says so. */
export function present<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined);
  // The same keys, less those without a value.
  return Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> };
}

/** Tags as they are shown: an empty set is left out. */
export const shownTags = (tags: Record<string, string>): Record<string, string> | undefined =>
  Object.keys(tags).length === 0 ? undefined : tags;
