import { generateKeyPairSync, sign } from "node:crypto";
import { createTokenAccess } from "../../api/auth/token-access.ts";
import { createFakeApi, type FakeApi } from "./api.ts";

const ISSUER = "https://issuer.example.org";
const AUDIENCE = "https://tyger.example.org";
const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token of an issuer in memory, for an hour. */
export function tokenOf(subject: string, roles: readonly string[]): string {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const claims = { iss: ISSUER, aud: AUDIENCE, sub: subject, roles, exp };
  const signed = `${encoded({ alg: "ES256", kid: "k" })}.${encoded(claims)}`;
  const signature = sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}

async function get(url: string): Promise<unknown> {
  if (url !== `${ISSUER}/keys`) return { issuer: ISSUER, jwks_uri: `${ISSUER}/keys` };
  return { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k", alg: "ES256", use: "sig" }] };
}

/** The fake API with logins. What a test injects is from a contributor. */
export function createTokenApi(): FakeApi {
  const log = { info: () => {}, warn: () => {} };
  const authority = { issuer: ISSUER, audience: AUDIENCE };
  const { access, close } = createTokenAccess(authority, { isLocal: () => false, log, get });
  const api = createFakeApi({ access });
  api.app.addHook("onClose", close);
  const inject = api.app.inject.bind(api.app) as (request: { headers?: object }) => unknown;
  const authorization = `Bearer ${tokenOf("ada", ["contributor"])}`;
  const injectAsAda = (request: { headers?: object }): unknown =>
    inject({ ...request, headers: { authorization, ...request.headers } });
  api.app.inject = injectAsAda as typeof api.app.inject;
  return api;
}

/** For tests that a server must pass with logins and without. */
export const WITH_AND_WITHOUT_TOKENS: readonly (readonly [string, () => FakeApi])[] = [
  ["without logins", createFakeApi],
  ["with logins", createTokenApi],
];
