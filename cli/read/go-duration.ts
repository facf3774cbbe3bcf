import { CodedError } from "../../model/errors.ts";

const UNIT_NANOSECONDS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  μs: 1000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const PART = /(?<whole>[0-9]*)(?:\.(?<fraction>[0-9]*))?(?<unit>ns|us|µs|μs|ms|s|m|h)/y;
/** The longest duration in 64 bits of nanoseconds: 292 years. */
const MAX_NANOSECONDS = 2n ** 63n - 1n;

/**
 * The nanoseconds of a duration as Go writes it: `300s`, `1.5h`, `2h45m`, `-250ms`; each number needs its unit but for
 * a lone `0`. @throws CodedError InvalidInput
 */
export function parseGoDuration(text: string): bigint {
  const refused = new CodedError(
    "InvalidInput",
    `The duration '${text}' is not of a form like '300s', '1.5h' or '2h45m'`,
  );
  const unsigned = text.replace(/^[+-]/, "");
  if (unsigned === "0") return 0n;
  if (unsigned === "") throw refused;
  let total = 0n;
  PART.lastIndex = 0;
  while (PART.lastIndex < unsigned.length) {
    const { whole = "", fraction = "", unit = "" } = PART.exec(unsigned)?.groups ?? {};
    const scale = UNIT_NANOSECONDS[unit];
    if (scale === undefined || whole + fraction === "") throw refused;
    total += BigInt(whole || "0") * scale + (BigInt(fraction || "0") * scale) / 10n ** BigInt(fraction.length);
  }
  if (total > MAX_NANOSECONDS) {
    throw new CodedError("InvalidInput", `The duration '${text}' is too long; the maximum is 292 years (2562047h)`);
  }
  return text.startsWith("-") ? -total : total;
}
