import { CodedError } from "../errors.ts";

const SHAPE =
  /^(?:(?<days>[0-9]{1,8})|(?:(?<d>[0-9]{1,8})\.)?(?<h>[0-9]{1,2}):(?<m>[0-9]{1,2})(?::(?<s>[0-9]{1,2})(?<f>\.[0-9]{1,7})?)?)$/;

/**
 * The seconds of a time span: `d`, `hh:mm`, `hh:mm:ss[.f]`, `d.hh:mm` or `d.hh:mm:ss[.f]`; `0` is zero.
 * @throws CodedError InvalidInput, also for a negative one
 */
export function parseTimeSpan(text: string): number {
  const { days, d = "0", h = "0", m = "0", s = "0", f = "" } = SHAPE.exec(text.trim())?.groups ?? { m: "none" };
  if (days !== undefined) return Number(days) * 86_400;
  const [hours, minutes, seconds] = [Number(h), Number(m), Number(s)];
  if (Number.isNaN(minutes) || hours > 23 || minutes > 59 || seconds > 59) {
    throw new CodedError("InvalidInput", `The time span '${text}' is not of the form [d.]hh:mm[:ss]`);
  }
  return Number(d) * 86_400 + hours * 3600 + minutes * 60 + seconds + Number(`0${f}`);
}

/** `[d.]hh:mm:ss[.fffffff]`, days left out when there are none: how time spans are answered and stored. */
export function formatTimeSpan(totalSeconds: number): string {
  let whole = Math.floor(totalSeconds);
  let ticks = Math.round((totalSeconds - whole) * 1e7);
  if (ticks === 1e7) {
    whole += 1;
    ticks = 0;
  }
  const days = Math.floor(whole / 86_400);
  const clock = [Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  const fraction = ticks === 0 ? "" : `.${String(ticks).padStart(7, "0")}`;
  return `${days === 0 ? "" : `${days}.`}${clock.map((part) => String(part).padStart(2, "0")).join(":")}${fraction}`;
}
