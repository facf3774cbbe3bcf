import { CodedError } from "../../model/errors.ts";

/** Milliseconds of the units whose length does not depend on the calendar. */
const FIXED_MS: Readonly<Record<string, number>> = {
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
};

const AGO = /^(?:(?<count>[0-9]{1,9}) (?<unit>[a-z]+) ago|-(?<minus>[0-9]{1,9}) ?(?<minusUnit>[a-z]+))$/;
const DATE =
  /^(?:(?<y1>[0-9]{4})-(?<m1>[0-9]{1,2})-(?<d1>[0-9]{1,2})|(?<y2>[0-9]{4})\/(?<m2>[0-9]{1,2})\/(?<d2>[0-9]{1,2})|(?<m3>[0-9]{1,2})\/(?<d3>[0-9]{1,2})\/(?<y3>[0-9]{4}))(?:(?:[Tt]| +)(?<rest>.+))?$/;
const CLOCK =
  /^(?<h>[0-9]{1,2}):(?<m>[0-9]{2})(?::(?<s>[0-9]{2})(?:[.,](?<fraction>[0-9]+))?)?(?: ?(?<offset>[Zz]|[+-][0-9]{2}:?[0-9]{2}))?$/;

/**
 * The instant that a user means by `text`, as RFC 3339 in UTC with every digit that was given: an RFC 3339 text, a
 * date, a date and time, a time of today, `now`, `today`, `yesterday`, `2 hours ago` or `-2h`-like `-2 hours`. Local time
 * unless a zone is given; a date alone means midnight of that day.
 * @throws CodedError InvalidInput
 */
export function parseSinceTime(text: string, now: Date): string {
  const word = text.trim().replace(/\s+/g, " ");
  const instant = relativeTime(word.toLowerCase(), now) ?? absoluteTime(word, now);
  if (!instant || Number.isNaN(instant.ms) || instant.ms < MIN_MS || instant.ms > MAX_MS) {
    throw new CodedError("InvalidInput", `failed to parse time ${text}`);
  }
  const seconds = new Date(instant.ms).toISOString().slice(0, 19);
  return `${seconds}${instant.fraction && `.${instant.fraction}`}Z`;
}

const MIN_MS = Date.parse("0001-01-01T00:00:00Z");
const MAX_MS = Date.parse("9999-12-31T23:59:59Z");

interface Instant {
  ms: number;
  /** Fraction of the second without trailing zeros; the milliseconds of `ms` are ignored. */
  fraction: string;
}

const exactly = (date: Date): Instant => ({
  ms: date.getTime(),
  fraction: digits(String(date.getUTCMilliseconds()).padStart(3, "0")),
});

const digits = (fraction: string): string => fraction.slice(0, 9).replace(/0+$/, "");

function relativeTime(word: string, now: Date): Instant | undefined {
  if (word === "now") return exactly(now);
  if (word === "today") return { ms: midnight(now, 0), fraction: "" };
  if (word === "yesterday") return { ms: midnight(now, -1), fraction: "" };
  const { count, unit, minus, minusUnit } = AGO.exec(word)?.groups ?? {};
  const many = count ?? minus;
  const name = (unit ?? minusUnit)?.replace(/s$/, "");
  return many === undefined || name === undefined ? undefined : before(now, Number(many), name);
}

const midnight = (now: Date, days: number): number =>
  new Date(now.getFullYear(), now.getMonth(), now.getDate() + days).getTime();

function before(now: Date, count: number, unit: string): Instant | undefined {
  const fixed = Object.hasOwn(FIXED_MS, unit) ? FIXED_MS[unit] : undefined;
  if (fixed !== undefined) return exactly(new Date(now.getTime() - count * fixed));
  const date = new Date(now);
  if (unit === "day") date.setDate(date.getDate() - count);
  else if (unit === "week") date.setDate(date.getDate() - 7 * count);
  else if (unit === "month") date.setMonth(date.getMonth() - count);
  else if (unit === "year") date.setFullYear(date.getFullYear() - count);
  else return undefined;
  return exactly(date);
}

function absoluteTime(word: string, now: Date): Instant | undefined {
  const groups = DATE.exec(word)?.groups;
  if (!groups) return clockOn(now.getFullYear(), now.getMonth() + 1, now.getDate(), word);
  const year = Number(groups["y1"] ?? groups["y2"] ?? groups["y3"]);
  const month = Number(groups["m1"] ?? groups["m2"] ?? groups["m3"]);
  const day = Number(groups["d1"] ?? groups["d2"] ?? groups["d3"]);
  const calendar = new Date(Date.UTC(year, month - 1, day));
  calendar.setUTCFullYear(year);
  if (calendar.getUTCMonth() !== month - 1 || calendar.getUTCDate() !== day) return undefined;
  if (groups["rest"] !== undefined) return clockOn(year, month, day, groups["rest"]);
  return clockOn(year, month, day, "00:00");
}

function clockOn(year: number, month: number, day: number, clock: string): Instant | undefined {
  const { h, m, s = "0", fraction = "", offset } = CLOCK.exec(clock)?.groups ?? {};
  if (h === undefined || m === undefined) return undefined;
  const [hours, minutes, seconds] = [Number(h), Number(m), Number(s)];
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined;
  const date = new Date(0);
  if (offset === undefined) {
    date.setFullYear(year, month - 1, day);
    date.setHours(hours, minutes, seconds, 0);
  } else {
    date.setUTCFullYear(year, month - 1, day);
    date.setUTCHours(hours, minutes, seconds, 0);
  }
  const shiftMinutes = offset === undefined ? 0 : offsetMinutes(offset);
  return { ms: date.getTime() - shiftMinutes * 60_000, fraction: digits(fraction) };
}

function offsetMinutes(offset: string): number {
  if (/^z$/i.test(offset)) return 0;
  const minutes = Number(offset.slice(1, 3)) * 60 + Number(offset.slice(-2));
  return offset.startsWith("-") ? -minutes : minutes;
}
