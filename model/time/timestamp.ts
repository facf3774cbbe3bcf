import { CodedError } from "../errors.ts";

const RFC3339 =
  /^(?<date>\d{4}-\d{2}-\d{2})[Tt](?<minutes>\d{2}:\d{2}):(?<seconds>\d{2})(?:\.(?<fraction>\d+))?(?<offset>[Zz]|[+-]\d{2}:\d{2})$/;
const NANOSECONDS_PER_MS = 1_000_000n;
const NANOSECONDS_PER_SECOND = 1_000_000_000n;

/**
 * The instant of an RFC 3339 text as nanoseconds since 1970, undefined when it is none. Digits beyond the ninth are
 * cut; a leap second is the next second's first. Only instants of the years 1 to 9999 UTC, for others cannot be shown.
 */
export function nanosecondsOf(text: string): bigint | undefined {
  const { date, minutes, seconds, fraction = "", offset } = RFC3339.exec(text)?.groups ?? {};
  if (date === undefined || minutes === undefined || seconds === undefined || offset === undefined) return undefined;
  if (minutes > "23:59" || minutes.slice(3) > "59" || seconds > "60") return undefined;
  const localMs = Date.parse(`${date}T${minutes}:00Z`);
  // Date takes February 30 for March 1.
  if (Number.isNaN(localMs) || !new Date(localMs).toISOString().startsWith(date)) return undefined;
  const shift = offsetMinutes(offset);
  if (shift === undefined) return undefined;
  const ms = localMs + Number(seconds) * 1000 - shift * 60_000;
  const nanoseconds = BigInt(ms) * NANOSECONDS_PER_MS + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  const year = new Date(ms).getUTCFullYear();
  return year >= 1 && year <= 9999 ? nanoseconds : undefined;
}

function offsetMinutes(offset: string): number | undefined {
  if (offset === "Z" || offset === "z") return 0;
  const hours = Number(offset.slice(1, 3));
  const minutes = Number(offset.slice(4));
  if (hours > 23 || minutes > 59) return undefined;
  return (offset.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
}

/** The instant as it is stored and shown: UTC with `+00:00`, cut to microseconds, trailing zeros dropped. */
export function timestampOf(nanoseconds: bigint): string {
  const fraction = nanoseconds % NANOSECONDS_PER_SECOND;
  const within = fraction < 0n ? fraction + NANOSECONDS_PER_SECOND : fraction;
  const second = new Date(Number((nanoseconds - within) / NANOSECONDS_PER_MS)).toISOString().slice(0, 19);
  const digits = within.toString().padStart(9, "0").slice(0, 6).replace(/0+$/, "");
  return `${second}${digits === "" ? "" : `.${digits}`}+00:00`;
}

/** The stored and shown form of any RFC 3339 text. @throws CodedError InvalidInput */
export function normalTimestamp(text: string): string {
  const nanoseconds = nanosecondsOf(text);
  if (nanoseconds === undefined) throw new CodedError("InvalidInput", `The timestamp '${text}' is not valid`);
  return timestampOf(nanoseconds);
}
