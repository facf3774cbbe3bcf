import { sign, verify } from "node:crypto";
import { CodedError } from "../../model/errors.ts";
import type { SignAccess } from "../services/buffer-service.ts";
import type { SigningKeys } from "./signing-keys.ts";

/** Signed URLs of the data plane: ECDSA P-256 over container, permissions and times. */
const SIGNATURE_VERSION = "0.1.0";
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;
const PERMISSIONS = /^(?:cr|CR|[rcRCD])$/;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** Between the issue and the start of a URL, because the clock of another verifier can be behind. */
const SET_BACK_MS = 5 * 60_000;

/** Whole seconds, cut. */
const instantOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

const signedText = (containerId: string, sp: string, st: string, se: string): Buffer =>
  Buffer.from([SIGNATURE_VERSION, containerId, sp, st, se].join("\n"));

/** Signs URLs of the data plane on `dataSocket`, or at the base URL that a grant names. */
export function createSigner({ primary }: SigningKeys, dataSocket: string, nowMs: () => number = Date.now): SignAccess {
  return ({ bufferId, writeable, ttlSeconds, baseUrl }) => {
    const sp = writeable ? "cr" : "r";
    const issuedMs = nowMs();
    const st = instantOf(issuedMs - SET_BACK_MS);
    const se = instantOf(issuedMs + ttlSeconds * 1000);
    const sig = sign("sha256", signedText(bufferId, sp, st, se), primary).toString("base64");
    const query = Object.entries({ "api-version": "1.0", sv: SIGNATURE_VERSION, sp, st, se, sig })
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join("&");
    return `${baseUrl ?? `http+unix://${dataSocket}:`}/containers/${bufferId}?${query}`;
  };
}

/** Whether a query opens a container for an action. */
export type VerifyAccess = (containerId: string, query: Readonly<Record<string, unknown>>, letter: string) => void;

/**
 * Checks in the order of the contract: form, times, signature, then the permission.
 * @throws CodedError AuthenticationFailed, AuthorizationPermissionMismatch
 */
export function createVerifier({ accepted }: SigningKeys, nowMs: () => number = Date.now): VerifyAccess {
  return (containerId, query, letter) => {
    const { sv, sp, st, se, sig } = query;
    const isWellFormed =
      sv === SIGNATURE_VERSION &&
      typeof sp === "string" &&
      PERMISSIONS.test(sp) &&
      typeof st === "string" &&
      INSTANT.test(st) &&
      typeof se === "string" &&
      INSTANT.test(se) &&
      typeof sig === "string" &&
      BASE64.test(sig);
    if (!isWellFormed) throw refused("its signature is missing or malformed");
    const now = nowMs();
    // Signed times are cut to seconds, and so is the start of the second that `now` is in.
    if (!(Date.parse(st) <= now && now <= Date.parse(se))) throw refused("it is not valid at this time");
    const text = signedText(containerId, sp, st, se);
    const signature = Buffer.from(sig, "base64");
    if (!accepted.some((key) => verify("sha256", text, key, signature))) throw refused("its signature is wrong");
    if (!sp.includes(letter)) {
      throw new CodedError("AuthorizationPermissionMismatch", `The URL grants '${sp}', and this needs '${letter}'`);
    }
  };
}

const refused = (why: string): CodedError => new CodedError("AuthenticationFailed", `The URL is refused: ${why}`);
