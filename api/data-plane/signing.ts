import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "../../disk/write-whole.ts";
import { CodedError, errnoOf } from "../../model/errors.ts";
import type { SignAccess } from "../services/buffer-service.ts";

/** Signed URLs of the data plane: ECDSA P-256 over container, permissions and times. */
const SIGNATURE_VERSION = "0.1.0";
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;
const PERMISSIONS = /^(?:cr|CR|[rcRCD])$/;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

export interface SigningKeys {
  /** Signs. */
  primary: KeyObject;
  /** Any of these can have signed, so that keys can be rotated. */
  accepted: readonly KeyObject[];
}

/** Whole seconds, cut. */
const instantOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

const signedText = (containerId: string, sp: string, st: string, se: string): Buffer =>
  Buffer.from([SIGNATURE_VERSION, containerId, sp, st, se].join("\n"));

/**
 * The key pair in `dir`, created by the first process that needs it. `signing.pem` is PKCS#8; the public key of a former
 * or future one can be stored beside it as `secondary.pub.pem` (SPKI).
 */
export async function loadSigningKeys(dir: string): Promise<SigningKeys> {
  const path = join(dir, "signing.pem");
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (;;) {
    try {
      const primary = createPrivateKey(await readFile(path));
      const secondary = await readIfThere(join(dir, "secondary.pub.pem"));
      const accepted = [createPublicKey(primary), ...(secondary ? [createPublicKey(secondary)] : [])];
      return { primary, accepted };
    } catch (err) {
      if (errnoOf(err) !== "ENOENT") throw err;
    }
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    writeWhole(path, privateKey.export({ type: "pkcs8", format: "pem" }), { durable: true, once: true });
  }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (err) {
    if (errnoOf(err) === "ENOENT") return undefined;
    throw err;
  }
}

/** Signs URLs of the data plane on `dataSocket`, or on the host that a grant names. */
export function createSigner({ primary }: SigningKeys, dataSocket: string, nowMs: () => number = Date.now): SignAccess {
  return ({ bufferId, writeable, ttlSeconds, host }) => {
    const sp = writeable ? "cr" : "r";
    const startMs = nowMs();
    const st = instantOf(startMs);
    const se = instantOf(startMs + ttlSeconds * 1000);
    const sig = sign("sha256", signedText(bufferId, sp, st, se), primary).toString("base64");
    const query = Object.entries({ "api-version": "1.0", sv: SIGNATURE_VERSION, sp, st, se, sig })
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join("&");
    const address = host === undefined ? `http+unix://${dataSocket}:` : `http://${host}`;
    return `${address}/containers/${bufferId}?${query}`;
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
