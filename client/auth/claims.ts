/** The facts in a token that a client shows or needs. It does not check the signature: servers do. */
export interface TokenFacts {
  roles: readonly string[];
  /** In Unix seconds. */
  issuedAt: number | undefined;
  expiresAt: number | undefined;
}

/** The facts in a token; none for one that is not a JWT. */
export function factsIn(token: string): TokenFacts {
  const { roles, iat, exp } = claimsIn(token);
  return {
    roles: Array.isArray(roles) ? roles.filter((role) => typeof role === "string") : [],
    issuedAt: typeof iat === "number" ? iat : undefined,
    expiresAt: typeof exp === "number" ? exp : undefined,
  };
}

/** The best first; `sub` is an id. */
const NAMES = ["preferred_username", "email", "upn", "sub"];

/** The name of a person in any of these tokens, as far as one has it. */
export function nameIn(tokens: readonly string[]): string | undefined {
  const claims = tokens.map(claimsIn);
  const names = NAMES.flatMap((name) => claims.map((one) => one[name]));
  const name = names.find((value) => typeof value === "string" && value !== "");
  // It is shown on the terminal, and kept in a file of lines.
  return typeof name === "string" ? name.replaceAll(/\p{Cc}/gu, "") : undefined;
}

function claimsIn(token: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
