import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { fileFailure } from "../read/file-failure.ts";

/** What the login file holds, of all that other clients may have written there too. */
export interface Login {
  /** `http://host:port` or `http+unix:///path:`; empty or absent after a logout. */
  serverUrl?: string;
  proxy?: string;
  /** Set by a server with access control. */
  authority?: string;
  principal?: string;
}

// Synchronous all: the file is small, and the asynchronous half of the file system takes 3 ms to load.

/** Reads the login file; undefined when there is none. @throws Error when it cannot be read or understood */
export async function readLogin(path: string): Promise<Login | undefined> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (err) {
    if (isMissing(err)) return undefined;
    throw fileFailure(path, "read", err, "login file");
  }
  const values = simplePairs(text) ?? (await yamlPairs(text, path));
  const { serverUri, serverUrl = serverUri, proxy, authority, principal } = values;
  return {
    ...(serverUrl && { serverUrl }),
    ...(proxy && { proxy }),
    ...(authority && { authority }),
    ...(principal && { principal }),
  };
}

/** Writes the login file, whole or not at all, so that no other command reads half of it. */
export function writeLogin(path: string, login: Login): void {
  const lines = Object.entries(login)
    .filter(([, value]) => value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]: [string, string]) => `${key}: ${yamlScalar(value)}\n`);
  const temporary = `${path}.${process.pid}`;
  try {
    makeFolder(dirname(path));
    const file = openSync(temporary, "w", 0o600);
    try {
      writeSync(file, lines.length > 0 ? lines.join("") : "{}\n");
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (err) {
    // Where the folder is no folder there is nothing to remove.
    if (!isMissing(err)) rmSync(temporary, { force: true });
    throw fileFailure(path, "written", err, "login file");
  }
}

/** As `mkdir` with `recursive`, which in Node never returns for a folder that /proc refuses to make. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o775 });
  } catch (err) {
    // Another login may have made it meanwhile.
    if (!existsSync(folder)) throw err;
  }
}

const isMissing = (err: unknown): boolean =>
  err instanceof Error && "code" in err && (err.code === "ENOENT" || err.code === "ENOTDIR");

/** Plain where YAML takes it as a string without doubt. */
const yamlScalar = (value: string): string =>
  /^[a-z][a-z0-9+./_-]*(?::[a-z0-9/_.-]+)*$/i.test(value) && !/^(?:true|false|null|yes|no|on|off|y|n)$/i.test(value)
    ? value
    : `'${value.replaceAll("'", "''")}'`;

/**
 * The pairs of a file of nothing but `key: value` lines, as this program writes it: every command reads the file, and
 * loading a YAML library takes longer than the rest of the work. Undefined when there is more to it.
 */
function simplePairs(text: string): Record<string, string> | undefined {
  const pairs: Record<string, string> = {};
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    const { key, quoted, plain } =
      /^(?<key>[a-zA-Z]+): (?:'(?<quoted>[^'\\]*)'|(?<plain>[a-zA-Z][a-zA-Z0-9+./_:-]*[a-zA-Z0-9/]))$/.exec(line)
        ?.groups ?? {};
    if (key === undefined) return undefined;
    pairs[key] = quoted ?? plain ?? "";
  }
  return pairs;
}

async function yamlPairs(text: string, path: string): Promise<Record<string, string>> {
  const { parseYamlText } = await import("../read/yaml-text.ts");
  let value: unknown;
  try {
    value = parseYamlText(text);
  } catch (err) {
    throw new Error(`The login file '${path}' is not valid YAML`, { cause: err });
  }
  if (value === null) return {};
  if (typeof value !== "object") throw new Error(`The login file '${path}' is not a YAML map`);
  return Object.fromEntries(Object.entries(value).filter(([, member]) => typeof member === "string")) as Record<
    string,
    string
  >;
}
