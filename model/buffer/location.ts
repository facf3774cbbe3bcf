import { CodedError } from "../errors.ts";

/**
 * The location that is the data folder: the only one of a server whose configuration has none, and the one of all buffers and
 * logs that are older than locations.
 */
export const LOCAL = "local";

/** The names of a server's locations, the default first. */
export type LocationNames = readonly [string, ...string[]];

/**
 * The location of a new buffer. Names match in any case.
 * @throws CodedError InvalidInput for an unknown name
 */
export function chooseLocation(names: LocationNames, requested: string | undefined): string {
  if (!requested) return names[0];
  const chosen = names.find((name) => name.toLowerCase() === requested.toLowerCase());
  if (chosen !== undefined) return chosen;
  const known = names.map((name) => `'${name}'`).join(", ");
  throw new CodedError("InvalidInput", `The location '${requested}' is not known; this server has ${known}`);
}
