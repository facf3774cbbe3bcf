/**
 * Whether requests to a URL cannot be changed or read on their way: an `https` one, or one of this machine. Tokens and secrets go to
 * no other.
 */
export function isSafeUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  const isHere = hostname === "localhost" || hostname === "[::1]" || /^127(?:\.[0-9]+){3}$/.test(hostname);
  return protocol === "https:" || (protocol === "http:" && isHere);
}

/** Whether an issuer of tokens can be trusted: a program that can change its answers can make tokens. */
export function isSafeIssuer(issuer: string): boolean {
  if (!isSafeUrl(issuer)) return false;
  const { search, hash } = new URL(issuer);
  return search === "" && hash === "";
}
