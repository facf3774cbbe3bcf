import { accessSync, constants, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";

/** Searches as a shell does, but skips relative folders, which would depend on the working directory. */
export function findProgram(name: string, path: string): string | undefined {
  return path
    .split(":")
    .filter((folder) => isAbsolute(folder))
    .map((folder) => join(folder, name))
    .find((file) => isExecutable(file));
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
