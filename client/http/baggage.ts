/** @see https://www.w3.org/TR/baggage/#key: a token of HTTP. */
const BAGGAGE_KEY = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** The `baggage` header, whose pairs the server puts on its log lines. @throws Error for a key that no header can hold */
export const baggageHeader = (pairs: Readonly<Record<string, string>>): string =>
  Object.entries(pairs)
    .map(([key, value]) => {
      if (!BAGGAGE_KEY.test(key)) throw new Error(`the baggage key '${key}' may contain only HTTP token characters`);
      return `${key}=${encodeURIComponent(value)}`;
    })
    .join(",");
