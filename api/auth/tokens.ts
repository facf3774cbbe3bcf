import { errors, type JWTPayload, jwtVerify } from "jose";
import type { Caller, Role } from "../../model/caller.ts";
import { CodedError, messageOf } from "../../model/errors.ts";
import type { KeyFor } from "./issuer-keys.ts";

/** Signatures that only the issuer can make: with HS256, its public key would be enough. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
/** How much the clocks of issuer and server can differ. */
const SKEW_SECONDS = 30;
const ROLES: readonly Role[] = ["owner", "contributor"];

/** Why a token is not accepted, for the server's log. */
export interface Refusal {
  refused: string;
  cause: unknown;
}

/** The party that a token names. @throws CodedError Unavailable while the keys of the issuer are unknown */
export type VerifyToken = (token: string) => Promise<Caller | Refusal>;

/** Accepts the tokens (JWT) that `issuer` signed for `audience`, as long as they are valid. @see RFC 9068 */
export const createTokenVerifier =
  ({ issuer, audience }: { issuer: string; audience: string }, keyFor: KeyFor): VerifyToken =>
  async (token) => {
    try {
      const { payload } = await jwtVerify(token, keyFor, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        clockTolerance: SKEW_SECONDS,
        requiredClaims: ["exp", "sub"],
      });
      return callerIn(payload);
    } catch (err) {
      if (err instanceof CodedError) throw err;
      // Neither has a part of the token in it.
      return {
        refused: err instanceof errors.JOSEError ? err.message : `unusable token: ${messageOf(err)}`,
        cause: err,
      };
    }
  };

/** Roles that are not ours belong to other programs. */
function callerIn({ sub = "", roles }: JWTPayload): Caller {
  const given: unknown[] = Array.isArray(roles) ? roles : [];
  return { subject: sub, roles: ROLES.filter((role) => given.includes(role)) };
}
