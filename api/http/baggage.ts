const MAX_PAIRS = 64;

/** The pairs of a W3C `baggage` header, for the lines that are logged about its request. */
export function baggageOf(header: string | string[] | undefined): { baggage?: Record<string, string> } {
  const pairs = (Array.isArray(header) ? header : [header ?? ""])
    .join(",")
    .split(",")
    .slice(0, MAX_PAIRS)
    .flatMap((member) => {
      const { key, value } = /^\s*(?<key>[^=;\s]+)\s*=\s*(?<value>[^;]*?)\s*(?:;.*)?$/.exec(member)?.groups ?? {};
      return key === undefined || value === undefined ? [] : [[key, decoded(value)] as const];
    });
  return pairs.length === 0 ? {} : { baggage: Object.fromEntries(pairs) };
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
