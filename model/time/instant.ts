import { CodedError } from "../errors.ts";
import { nanosecondsOf, timestampOf } from "./timestamp.ts";

/**
 * An instant of a request as it is stored and answered: UTC with offset `+00:00`, cut to microseconds. White space
 * around it, and an offset whose `+` a query turned into a space, are tolerated.
 * @throws CodedError InvalidInput
 */
export const storedInstant = (text: string): string => timestampOf(instantOf(text));

/**
 * An RFC 3339 instant with all nine digits and `Z`, so that such texts compare as the instants do.
 * @throws CodedError InvalidInput
 */
export function logInstant(text: string): string {
  const nanoseconds = instantOf(text);
  const second = timestampOf(nanoseconds).slice(0, 19);
  return `${second}.${(nanoseconds + ERA).toString().slice(-9)}Z`;
}

/** A whole number of seconds that makes every instant of the years 1 to 9999 positive. */
const ERA = 10n ** 20n;

function instantOf(text: string): bigint {
  const nanoseconds = nanosecondsOf(text.trim().replace(/ (?=[0-9]{2}:[0-9]{2}$)/, "+"));
  if (nanoseconds === undefined) throw new CodedError("InvalidInput", `The timestamp '${text}' is not RFC 3339`);
  return nanoseconds;
}
