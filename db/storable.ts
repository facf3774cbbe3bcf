import { CodedError } from "../model/errors.ts";

const SHOWN_CHARACTERS = 80;

/** Postgres has no text with a null character, and no UTF-8 for half of a surrogate pair. */
export const isStorable = (text: string): boolean => !text.includes("\0") && text.isWellFormed();

/** `text` without characters that cannot be stored: an engine's message must not keep a run from ending. */
export const storable = (text: string): string => text.replaceAll("\0", "\uFFFD").toWellFormed();

/** Looks at every key and value. @throws CodedError InvalidInput */
export function refuseUnstorable(value: unknown): void {
  if (typeof value === "string" && !isStorable(value)) {
    const shown = JSON.stringify(value).slice(1, -1).slice(0, SHOWN_CHARACTERS).toWellFormed();
    throw new CodedError("InvalidInput", `The text '${shown}' contains a character that cannot be stored`);
  }
  if (typeof value !== "object" || value === null) return;
  for (const [key, member] of Object.entries(value)) {
    refuseUnstorable(key);
    refuseUnstorable(member);
  }
}
