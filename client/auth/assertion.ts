import { createHash, createPrivateKey, type KeyObject, randomUUID, sign, X509Certificate } from "node:crypto";

/** Issuers allow a few minutes; the clock of this machine can be behind. */
const LIFE_SECONDS = 300;

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/**
 * A token by which a client shows that it has the private key of its certificate.
 * @param pem the certificate and its key
 * @see https://www.rfc-editor.org/rfc/rfc7523 section 2.2
 * @throws Error for a PEM that is not that
 */
export function assertionOf(clientId: string, pem: string, audience: string, nowMs: number): string {
  const certificate = new X509Certificate(pem);
  const key = createPrivateKey(pem);
  if (!certificate.checkPrivateKey(key)) throw new Error("the key is not that of the certificate");
  const { alg, hash } = algorithmOf(key);
  const thumbprint = createHash("sha256").update(certificate.raw).digest("base64url");
  const seconds = Math.floor(nowMs / 1000);
  const header = { alg, typ: "JWT", "x5t#S256": thumbprint };
  const claims = { iss: clientId, sub: clientId, aud: audience, jti: randomUUID(), iat: seconds, nbf: seconds };
  const signed = `${encoded(header)}.${encoded({ ...claims, exp: seconds + LIFE_SECONDS })}`;
  const signature = sign(hash, Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): { alg: string; hash: string | null } {
  if (asymmetricKeyType === "rsa") return { alg: "RS256", hash: "sha256" };
  const curve = asymmetricKeyDetails?.namedCurve;
  if (curve === "prime256v1") return { alg: "ES256", hash: "sha256" };
  if (curve === "secp384r1") return { alg: "ES384", hash: "sha384" };
  if (asymmetricKeyType === "ed25519") return { alg: "EdDSA", hash: null };
  throw new Error("the key must be RSA, P-256, P-384 or Ed25519");
}
