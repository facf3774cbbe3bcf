import { readFileSync } from "node:fs";
import { errnoWordsOf, isNoFile } from "../model/errno.ts";
import { messageOf } from "../model/errors.ts";

/** The fields of the login file that this client knows; other clients may have written more. */
export interface Login {
  /** `http://host:port` or `http+unix:///path:`; empty or absent after a logout. */
  serverUrl?: string;
  proxy?: string;
  /** The issuer of tokens for a server with access control. */
  authority?: string;
  /** The audience of tokens, as the server names it. */
  audience?: string;
  /** The scope to ask for in place of the audience. */
  scope?: string;
  /** The public client that a person logged in with. */
  clientId?: string;
  /** The name of the person, or the id of the service. */
  principal?: string;
  /** PEM with the certificate and the key of a service. */
  certPath?: string;
  /** A file with the secret of a service. */
  secretPath?: string;
  lastToken?: string;
  /** In Unix seconds. */
  lastTokenExpiration?: number;
  /** base64 of the JSON of a {@link TokenCache}. */
  fullCache?: string;
  /** `os`, `embedded`, or the path of a PEM file. */
  tlsCaCertificates?: string;
}

/** The means to renew a person's login. */
export interface TokenCache {
  refreshToken?: string;
}

const TEXTS = [
  "serverUrl",
  "proxy",
  "authority",
  "audience",
  "scope",
  "clientId",
  "principal",
  "certPath",
  "secretPath",
  "lastToken",
  "fullCache",
  "tlsCaCertificates",
] as const;

/** Reads the login file; undefined when there is none. @throws Error when it cannot be read or parsed */
export async function readLogin(path: string): Promise<Login | undefined> {
  let text: string;
  try {
    // The file is small, and the asynchronous half of the file system takes 3 ms to load.
    text = readFileSync(path, "utf8");
  } catch (err) {
    if (isNoFile(err)) return undefined;
    const reason = errnoWordsOf(err, "reading") ?? messageOf(err);
    throw new Error(`the login file '${path}' cannot be read: ${reason}`, { cause: err });
  }
  const values = simplePairs(text) ?? (await yamlPairs(text, path));
  const given: Record<string, string | undefined> = {
    ...values,
    serverUrl: values["serverUrl"] ?? values["serverUri"],
  };
  const login: Login = {};
  for (const name of TEXTS) if (given[name]) login[name] = given[name];
  const expiration = Number(values["lastTokenExpiration"] ?? 0);
  if (Number.isSafeInteger(expiration) && expiration > 0) login.lastTokenExpiration = expiration;
  return login;
}

/**
 * The pairs of a file of nothing but `key: value` lines, as `tyger login` writes it: every command reads the file, and
 * loading a YAML library takes longer than the rest of the work. Undefined when there is more to it.
 */
function simplePairs(text: string): Record<string, string> | undefined {
  const pairs: Record<string, string> = {};
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    const { key, quoted, plain } =
      /^(?<key>[a-zA-Z]+): (?:'(?<quoted>[^'\\]*)'|(?<plain>[a-zA-Z][a-zA-Z0-9+./_:-]*[a-zA-Z0-9/_-]|[0-9]+))$/.exec(
        line,
      )?.groups ?? {};
    if (key === undefined) return undefined;
    pairs[key] = quoted ?? plain ?? "";
  }
  return pairs;
}

async function yamlPairs(text: string, path: string): Promise<Record<string, string>> {
  const { parseYamlText } = await import("./yaml-text.ts");
  let value: unknown;
  try {
    value = parseYamlText(text);
  } catch (err) {
    throw new Error(`The login file '${path}' is not valid YAML`, { cause: err });
  }
  if (value === null) return {};
  if (typeof value !== "object") throw new Error(`The login file '${path}' is not a YAML map`);
  const isScalar = (member: unknown): boolean => typeof member === "string" || typeof member === "number";
  const pairs = Object.entries(value as Record<string, unknown>).filter(([, member]) => isScalar(member));
  return Object.fromEntries(pairs.map(([name, member]) => [name, String(member)]));
}
