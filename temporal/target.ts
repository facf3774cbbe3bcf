import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { errnoWordsOf } from "../model/errno.ts";
import { messageOf } from "../model/errors.ts";

/** The server behind every connection that we open: the API's, the worker's and its native one. */
export interface TemporalTarget {
  address: string;
  namespace: string;
  /** Temporal Cloud; with it the connection uses TLS. */
  apiKey?: string | undefined;
  /** PEM. Without it the connection is in clear text, unless there is a key. */
  tls?: TemporalTls | undefined;
}

export interface TemporalTls {
  /** The authority of the server's certificate; the machine's authorities by default. */
  ca?: Buffer | undefined;
  client?: { certificate: Buffer; key: Buffer } | undefined;
  /** The name in the server's certificate, if it is not that of the address. */
  serverName?: string | undefined;
}

/** The settings of a connection, with paths of files. */
export interface TemporalSettings {
  address: string;
  namespace: string;
  apiKey?: string | undefined;
  apiKeyFile?: string | undefined;
  tls?:
    | {
        ca?: string | undefined;
        certificate?: string | undefined;
        key?: string | undefined;
        serverName?: string | undefined;
      }
    | undefined;
}

/**
 * Reads the files of a connection, once: a process is started again with new ones.
 * @throws Error that names the file which cannot be used, and why
 */
export async function readTarget(settings: TemporalSettings, nowMs = Date.now()): Promise<TemporalTarget> {
  const { address, namespace, apiKeyFile, tls } = settings;
  if (settings.apiKey !== undefined && apiKeyFile !== undefined) {
    throw new Error(
      "Invalid configuration: TEMPORAL_API_KEY and 'temporal.apiKeyFile' of the configuration file are both set",
    );
  }
  const apiKey = apiKeyFile === undefined ? settings.apiKey : (await contentOf(apiKeyFile)).toString("utf8").trim();
  if (apiKey === "") throw new Error(`The file '${apiKeyFile}' for Temporal is empty`);
  return { address, namespace, apiKey, tls: tls && (await readTls(tls, nowMs)) };
}

async function readTls(
  { ca, certificate, key, serverName }: NonNullable<TemporalSettings["tls"]>,
  nowMs: number,
): Promise<TemporalTls> {
  const authority = ca === undefined ? undefined : await contentOf(ca);
  if (authority) certificateIn(authority, ca);
  if (certificate === undefined || key === undefined) return { ca: authority, serverName };
  const client = { certificate: await contentOf(certificate), key: await contentOf(key) };
  const own = certificateIn(client.certificate, certificate);
  const ends = new Date(own.validTo);
  if (ends.getTime() < nowMs) {
    throw new Error(`The certificate '${certificate}' for Temporal expired at ${ends.toISOString()}`);
  }
  if (!isKeyOf(own, client.key)) {
    throw new Error(`The key '${key}' for Temporal is not that of the certificate '${certificate}'`);
  }
  return { ca: authority, client, serverName };
}

async function contentOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (err) {
    const reason = errnoWordsOf(err, "reading") ?? messageOf(err);
    throw new Error(`The file '${path}' for Temporal cannot be read: ${reason}`, { cause: err });
  }
}

function certificateIn(pem: Buffer, path: string | undefined): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (err) {
    throw new Error(`The file '${path}' for Temporal has no certificate (PEM)`, { cause: err });
  }
}

function isKeyOf(certificate: X509Certificate, pem: Buffer): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(pem));
  } catch {
    return false;
  }
}
