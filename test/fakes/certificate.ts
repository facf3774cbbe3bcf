import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** A key and a certificate for `localhost` and 127.0.0.1 that no other program trusts, as PEM. */
export interface Certificate {
  key: string;
  cert: string;
}

const der = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const content = Buffer.concat(parts);
  const long = content.length < 128 ? [] : content.length < 256 ? [0x81] : [0x82, content.length >> 8];
  return Buffer.concat([Buffer.from([tag, ...long, content.length & 0xff]), content]);
};
const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, "hex"));
const text = (tag: number, value: string): Buffer => der(tag, Buffer.from(value));
const extension = (id: string, value: Buffer): Buffer => sequence(oid(id), der(0x04, value));
const bits = (bytes: Buffer): Buffer => der(0x03, Buffer.from([0]), bytes);

const ECDSA_SHA256 = sequence(oid("2a8648ce3d040302"));
const nameOf = (common: string): Buffer => sequence(der(0x31, sequence(oid("550403"), text(0x0c, common))));

interface Made {
  subject: string;
  issuer: string;
  isAuthority: boolean;
  /** The two last digits of the year in which it ends, after 2000. */
  untilYear?: string;
}

/** Makes one by hand, because the runtime reads certificates and makes none. @see RFC 5280 */
function make(
  { subject, issuer, isAuthority, untilYear = "49" }: Made,
  signer?: KeyObject,
): Certificate & { own: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const names = sequence(text(0x82, "localhost"), der(0x87, Buffer.from([127, 0, 0, 1])));
  const authority = isAuthority ? sequence(der(0x01, Buffer.from([0xff]))) : sequence();
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    ECDSA_SHA256,
    nameOf(issuer),
    sequence(text(0x17, "200101000000Z"), text(0x17, `${untilYear}1231235959Z`)),
    nameOf(subject),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(extension("551d11", names), extension("551d13", authority))),
  );
  const certificate = sequence(body, ECDSA_SHA256, bits(sign("sha256", body, signer ?? privateKey)));
  const lines = certificate.toString("base64").match(/.{1,64}/g) ?? [];
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
    own: privateKey,
  };
}

/** A certificate that vouches for itself. */
export function selfSigned(): Certificate {
  const { key, cert } = make({ subject: "localhost", issuer: "localhost", isAuthority: true });
  return { key, cert };
}

/** An authority with the certificates that it gives out. */
export function createAuthority(): { cert: string; issue(options?: { untilYear?: string }): Certificate } {
  const { cert, own } = make({ subject: "authority", issuer: "authority", isAuthority: true });
  return {
    cert,
    issue(options) {
      const { key, cert: issued } = make(
        { subject: "localhost", issuer: "authority", isAuthority: false, ...options },
        own,
      );
      return { key, cert: issued };
    },
  };
}
