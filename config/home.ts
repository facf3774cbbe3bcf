import { join } from "node:path";

/** Environment variables, passed in so that tests need not change their own. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** For files that can be downloaded again. Undefined if the environment names no folder. */
export const cacheDir = (env: Environment): string | undefined => underHome(env, "XDG_CACHE_HOME", ".cache");

/** The XDG rule for all our folders: below `variable`, else below `fallback` in the home folder. */
export function underHome(env: Environment, variable: string, fallback: string): string | undefined {
  if (env[variable]) return join(env[variable], "tyger");
  return env["HOME"] ? join(env["HOME"], fallback, "tyger") : undefined;
}

/** The file where `tyger login` stores the server; undefined if the environment names no folder for it. */
export function loginFileOf(env: Environment): string | undefined {
  const cache = cacheDir(env);
  return env["TYGER_CACHE_FILE"] || (cache && join(cache, ".tyger"));
}

/** The login file of the user who runs this process. */
export const ownLoginFile = (): string | undefined => loginFileOf(process.env);
