import { dirname } from "node:path";
import type { Login } from "../../client/login-file.ts";
import { makeFolder } from "../../disk/folders.ts";
import { writeWhole } from "../../disk/write-whole.ts";
import { fileFailure } from "../read/file-failure.ts";

/** Writes the login file, whole or not at all, so that no other command reads half of it. */
export function writeLogin(path: string, login: Login): void {
  const lines = Object.entries(login)
    .filter(([, value]) => value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]: [string, string]) => `${key}: ${yamlScalar(value)}\n`);
  try {
    makeFolder(dirname(path), 0o775);
    writeWhole(path, lines.length > 0 ? lines.join("") : "{}\n", { durable: true });
  } catch (err) {
    throw fileFailure(path, "written", err, "login file");
  }
}

/** Without quotes only if every YAML reader takes it as a string. */
const yamlScalar = (value: string): string =>
  /^[a-z][a-z0-9+./_-]*(?::[a-z0-9/_.-]+)*$/i.test(value) && !/^(?:true|false|null|yes|no|on|off|y|n)$/i.test(value)
    ? value
    : `'${value.replaceAll("'", "''")}'`;
