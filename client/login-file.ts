import { readFileSync } from "node:fs";
import { errnoWordsOf, isNoFile } from "../model/errno.ts";
import { messageOf } from "../model/errors.ts";

/** The fields of the login file that this client knows; other clients may have written more. */
export interface Login {
  /** `http://host:port` or `http+unix:///path:`; empty or absent after a logout. */
  serverUrl?: string;
  proxy?: string;
  /** Set by a server with access control. */
  authority?: string;
  principal?: string;
}

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
  const { serverUri, serverUrl = serverUri, proxy, authority, principal } = values;
  return {
    ...(serverUrl && { serverUrl }),
    ...(proxy && { proxy }),
    ...(authority && { authority }),
    ...(principal && { principal }),
  };
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
      /^(?<key>[a-zA-Z]+): (?:'(?<quoted>[^'\\]*)'|(?<plain>[a-zA-Z][a-zA-Z0-9+./_:-]*[a-zA-Z0-9/]))$/.exec(line)
        ?.groups ?? {};
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
  return Object.fromEntries(Object.entries(value).filter(([, member]) => typeof member === "string")) as Record<
    string,
    string
  >;
}
