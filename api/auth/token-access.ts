import type { IncomingMessage } from "node:http";
import { LOCAL_USER } from "../../model/caller.ts";
import { type AccessControl, type Authority, Unauthenticated } from "./access.ts";
import { createIssuerKeys, type IssuerKeysOptions } from "./issuer-keys.ts";
import { createTokenVerifier } from "./tokens.ts";

export interface TokenAccessOptions extends Omit<IssuerKeysOptions, "issuer"> {
  /** Requests on the socket that only the user of this process can connect to. A request that is not known needs a token. */
  isLocal: (req: IncomingMessage) => boolean;
}

/** Requests need a token of `authority`, except the local ones, which are the local user's. */
export function createTokenAccess(
  authority: Authority,
  { isLocal, ...options }: TokenAccessOptions,
): { access: AccessControl; close: () => Promise<void> } {
  const keys = createIssuerKeys({ issuer: authority.issuer, ...options });
  const verify = createTokenVerifier(authority, keys.keyFor);
  const challenge = `Bearer authority=${authority.issuer}, audience=${authority.audience}`;
  const access: AccessControl = {
    async callerOf({ raw, headers }) {
      if (isLocal(raw)) return LOCAL_USER;
      const token = /^Bearer +(?<token>[\w.-]+) *$/i.exec(headers.authorization ?? "")?.groups?.["token"];
      if (token === undefined) throw new Unauthenticated("there is no token", challenge);
      const verified = await verify(token);
      if ("refused" in verified) throw new Unauthenticated(verified.refused, challenge, { cause: verified.cause });
      return verified;
    },
    authorityFor: ({ raw }) => (isLocal(raw) ? undefined : authority),
  };
  return { access, close: keys.close };
}
