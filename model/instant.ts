import { CodedError } from "./errors.ts";

const SHAPE =
  /^(?<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?<time>[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.(?<fraction>[0-9]{1,9}))?(?<offset>[Zz]|[+-][0-9]{2}:[0-9]{2})$/;

/**
 * An RFC 3339 instant as it is stored and answered: UTC with offset `+00:00`, cut to microseconds, no trailing zeros.
 * @throws CodedError InvalidInput
 */
export function storedInstant(text: string): string {
  const { seconds, nanos } = parse(text);
  const fraction = nanos.slice(0, 6).replace(/0+$/, "");
  return `${seconds}${fraction && `.${fraction}`}+00:00`;
}

/**
 * An RFC 3339 instant with all nine digits and `Z`, so that such texts compare as the instants do.
 * @throws CodedError InvalidInput
 */
export function logInstant(text: string): string {
  const { seconds, nanos } = parse(text);
  return `${seconds}.${nanos}Z`;
}

function parse(text: string): { seconds: string; nanos: string } {
  // In a query an unescaped `+` of the offset arrives as a space.
  const given = text.trim().replace(/ (?=[0-9]{2}:[0-9]{2}$)/, "+");
  const { date = "", time = "", fraction = "", offset = "" } = SHAPE.exec(given)?.groups ?? {};
  const local = new Date(`${date}T${time}Z`);
  const ms = Date.parse(`${date}T${time}${offset.toUpperCase()}`);
  // A day that the calendar does not have rolls over, and so shows.
  const isReal = !Number.isNaN(ms) && local.toISOString().startsWith(`${date}T${time}`);
  const seconds = isReal ? new Date(ms).toISOString() : "";
  if (!/^(?!0000)[0-9]{4}-/.test(seconds))
    throw new CodedError("InvalidInput", `The timestamp '${text}' is not RFC 3339`);
  return { seconds: seconds.slice(0, 19), nanos: fraction.padEnd(9, "0") };
}
