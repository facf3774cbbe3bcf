import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "../../disk/write-whole.ts";
import { errnoWordsOf, isNoFile } from "../../model/errno.ts";
import { messageOf } from "../../model/errors.ts";

export interface SigningKeys {
  /** Signs. */
  primary: KeyObject;
  /** Any of these can have signed, so that keys can be rotated. */
  accepted: readonly KeyObject[];
}

/** The files of configured keys. The primary one is private; the secondary one can be public. */
export interface KeyFiles {
  primary: string;
  secondary?: string | undefined;
}

/** `configured`, or else the key pair in `ownDir`. @throws Error that names a file that is not a usable key */
export const loadSigningKeys = (configured: KeyFiles | undefined, ownDir: string): Promise<SigningKeys> =>
  configured === undefined ? ownKeys(ownDir) : keysOf(configured);

/**
 * The key pair in `dir`, created by the first process that needs it. `signing.pem` is PKCS#8; the public key of a former
 * or future one can be stored beside it as `secondary.pub.pem` (SPKI).
 */
async function ownKeys(dir: string): Promise<SigningKeys> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const [primary, secondary] = [join(dir, "signing.pem"), join(dir, "secondary.pub.pem")];
  // Of processes that start together, one creates it.
  if (!(await isThere(primary))) writeWhole(primary, newKey(), { durable: true, once: true });
  return keysOf({ primary, secondary: (await isThere(secondary)) ? secondary : undefined });
}

const newKey = (): string | Buffer =>
  generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" });

async function keysOf({ primary: primaryFile, secondary }: KeyFiles): Promise<SigningKeys> {
  const primary = await readKey(primaryFile, createPrivateKey);
  // Also makes the public key of a private one.
  const accepted = [createPublicKey(primary), ...(secondary ? [await readKey(secondary, createPublicKey)] : [])];
  return { primary, accepted };
}

/** Another curve is refused here and not by the clients and verifiers of other programs. @see the buffer contract, 2.1 */
async function readKey(file: string, create: (pem: Buffer) => KeyObject): Promise<KeyObject> {
  let key: KeyObject;
  try {
    key = create(await readFile(file));
  } catch (err) {
    const problem = errnoWordsOf(err, "reading") ?? `it is not a PEM key of the needed kind (${messageOf(err)})`;
    throw new Error(`The signing key '${file}' cannot be read: ${problem}`, { cause: err });
  }
  if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw new Error(`The signing key '${file}' is not an ECDSA key of the curve P-256`);
  }
  return key;
}

async function isThere(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (err) {
    if (isNoFile(err)) return false;
    throw err;
  }
}
