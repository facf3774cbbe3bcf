const SHAPE = /^(?<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?(?<unit>[KMGTPE])?(?:i?B)?$/i;
const UNITS = "KMGTPE";

/** The bytes of a size: a number with an optional unit `K`, `KB`, `KiB` …, all powers of 1024. @throws Error */
export function parseDataSize(text: string): number {
  const { number, unit } = SHAPE.exec(text.trim())?.groups ?? {};
  if (number === undefined) throw new Error("use a size such as 4096, 4M, or 1.5GiB");
  const power = unit === undefined ? 0 : UNITS.indexOf(unit.toUpperCase()) + 1;
  const sizeBytes = Math.floor(Number(number) * 1024 ** power);
  if (!Number.isSafeInteger(sizeBytes)) throw new Error("it is too large");
  return sizeBytes;
}

/** The size of a block: a whole one, at least a byte. @throws Error */
export function parseBlockSize(text: string): number {
  const sizeBytes = parseDataSize(text);
  if (sizeBytes < 1) throw new Error("it must be at least one byte");
  return sizeBytes;
}

/** Bytes in binary units: `1.5MiB`. */
export function formatBytes(sizeBytes: number): string {
  const power = Math.min(sizeBytes < 1 ? 0 : Math.floor(Math.log2(sizeBytes) / 10), UNITS.length);
  const number = sizeBytes / 1024 ** power;
  return `${shortNumber(number)}${power === 0 ? "B" : `${UNITS[power - 1]}iB`}`;
}

/** A rate in decimal bits: `32Mbps`. */
export function formatBitRate(bytesPerSecond: number): string {
  const bits = bytesPerSecond * 8;
  const power = Math.min(bits < 1 ? 0 : Math.floor(Math.log10(bits) / 3), 4);
  return `${shortNumber(bits / 1000 ** power)}${["", "k", "M", "G", "T"][power]}bps`;
}

const shortNumber = (value: number): string =>
  value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(value >= 10 ? 3 : 2)));
