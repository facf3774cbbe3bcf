import { CodedError } from "../errors.ts";

/** The suffix families of Kubernetes: a quantity stays in the one it was written in. */
type Family = "decimal" | "binary" | "exponent";

interface Quantity {
  /** In units of 10^-9, the smallest that Kubernetes knows. */
  nanos: bigint;
  family: Family;
}

const DECIMAL = { n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 } as const;
const BINARY = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n } as const;
const SHAPE =
  /^\+?(?<whole>[0-9]{0,40})(?:\.(?<fraction>[0-9]{0,40}))?(?<suffix>[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?$/;
const NANO = 1_000_000_000n;
const MAX_NANOS = (2n ** 63n - 1n) * NANO;

/**
 * The text that Kubernetes writes for a quantity: `1000m` is `1`, `1.5Gi` is `1536Mi`, `1G` stays `1G`.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 * @throws CodedError InvalidInput
 */
export function canonicalQuantity(text: string): string {
  const { nanos, family } = parse(text);
  if (nanos === 0n) return "0";
  const isWhole = nanos % NANO === 0n;
  if (family === "binary" && isWhole && nanos >= 1024n * NANO) return inBinary(nanos / NANO);
  let exponent = -9;
  let number = nanos;
  while (exponent < 18 && number % 1000n === 0n) {
    number /= 1000n;
    exponent += 3;
  }
  if (family === "exponent") return exponent === 0 ? `${number}` : `${number}e${exponent}`;
  const suffix = Object.entries(DECIMAL).find(([, power]) => power === exponent)?.[0] ?? "";
  return `${number}${suffix}`;
}

/**
 * The value of a quantity in its base unit (bytes, cores); equal quantities have equal values whatever their suffix.
 * @throws CodedError InvalidInput
 */
export function quantityValue(text: string): number {
  const { nanos } = parse(text);
  return Number(nanos / NANO) + Number(nanos % NANO) / 1e9;
}

function inBinary(value: bigint): string {
  let number = value;
  let suffix = "";
  for (const next of Object.keys(BINARY)) {
    if (number % 1024n !== 0n) break;
    number /= 1024n;
    suffix = next;
  }
  return `${number}${suffix}`;
}

function parse(text: string): Quantity {
  const { whole = "", fraction = "", suffix = "" } = SHAPE.exec(text)?.groups ?? {};
  if (whole === "" && fraction === "") throw new CodedError("InvalidInput", `The quantity '${text}' is not valid`);
  const digits = BigInt(whole + fraction);
  if (suffix in BINARY) {
    const scaled = digits * NANO * 2n ** BINARY[suffix as keyof typeof BINARY];
    return { nanos: capped(dividedUp(scaled, 10n ** BigInt(fraction.length))), family: "binary" };
  }
  const family = suffix in DECIMAL ? "decimal" : "exponent";
  const power = family === "decimal" ? DECIMAL[suffix as keyof typeof DECIMAL] : Number(suffix.slice(1));
  const shift = power + 9 - fraction.length;
  const nanos = shift >= 0 ? digits * 10n ** BigInt(shift) : dividedUp(digits, 10n ** BigInt(-shift));
  return { nanos: capped(nanos), family };
}

/** Less than a nano counts as one: a request for something must not become nothing. */
const dividedUp = (value: bigint, divisor: bigint): bigint => (value + divisor - 1n) / divisor;
const capped = (nanos: bigint): bigint => (nanos > MAX_NANOS ? MAX_NANOS : nanos);
