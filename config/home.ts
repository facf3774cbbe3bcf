import { join } from "node:path";

/** The part of the environment that says where things lie. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Downloads that can be had again: Node, the Temporal CLI, images. Undefined when the environment names no place. */
export const cacheDir = (env: Environment): string | undefined => underHome(env, "XDG_CACHE_HOME", ".cache");

/** Our folder below the one that `variable` names, else below `fallback` in the home folder. */
export function underHome(env: Environment, variable: string, fallback: string): string | undefined {
  if (env[variable]) return join(env[variable], "tyger");
  return env["HOME"] ? join(env["HOME"], fallback, "tyger") : undefined;
}

/** The file in which `tyger login` keeps the server; undefined when the environment names no folder for it. */
export function loginFileOf(env: Environment): string | undefined {
  const cache = cacheDir(env);
  return env["TYGER_CACHE_FILE"] || (cache && join(cache, ".tyger"));
}

/** The login file of the user who runs this process. */
export const ownLoginFile = (): string | undefined => loginFileOf(process.env);
