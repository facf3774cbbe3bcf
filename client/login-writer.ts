import { dirname } from "node:path";
import { makeFolder } from "../disk/folders.ts";
import { writeWhole } from "../disk/write-whole.ts";
import { errnoWordsOf } from "../model/errno.ts";
import { messageOf } from "../model/errors.ts";
import type { Login } from "./login-file.ts";

/** Writes the login file, whole or not at all, so that no other command reads half of it. Its user alone can read it. */
export function writeLogin(path: string, login: Login): void {
  const lines = Object.entries(login as Record<string, string | number | undefined>)
    .flatMap(([key, value]) => (value ? [[key, value] as const] : []))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}: ${typeof value === "number" ? value : yamlScalar(value)}\n`);
  try {
    makeFolder(dirname(path), 0o775);
    writeWhole(path, lines.length > 0 ? lines.join("") : "{}\n", { durable: true });
  } catch (err) {
    const reason = errnoWordsOf(err, "writing") ?? messageOf(err);
    throw new Error(`the login file '${path}' cannot be written: ${reason}`, { cause: err });
  }
}

/** Without quotes only if every YAML reader takes it as a string. */
const yamlScalar = (value: string): string =>
  /^[a-z][a-z0-9+./_-]*(?::[a-z0-9/_.-]+)*$/i.test(value) && !/^(?:true|false|null|yes|no|on|off|y|n)$/i.test(value)
    ? value
    : `'${value.replaceAll("'", "''")}'`;
