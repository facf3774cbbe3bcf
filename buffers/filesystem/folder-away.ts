import { isFileSystemAway } from "../../model/errno.ts";
import { CodedError, messageOf } from "../../model/errors.ts";

/**
 * The folder of a location is missing. It is created once, when the location is new, so its disk is probably not mounted, and
 * nothing must be written to the folder below it.
 */
export const folderAway = (folder: string, cause?: unknown): CodedError =>
  new CodedError(
    "Unavailable",
    `The folder '${folder}' is missing; mount its disk, or create an empty folder if its data is lost`,
    { cause },
  );

/** The same port, whose methods throw Unavailable when the file system of `folder` does not work. */
export function whileThere<T extends object>(folder: string, port: T): T {
  const methods = Object.entries(port).map(([name, method]: [string, (...given: unknown[]) => Promise<unknown>]) => [
    name,
    async (...given: unknown[]) => {
      try {
        return await method(...given);
      } catch (err) {
        if (!isFileSystemAway(err)) throw err;
        throw new CodedError("Unavailable", `The folder '${folder}' cannot be used: ${messageOf(err)}`, { cause: err });
      }
    },
  ]);
  // The same keys with methods of the same shape.
  return Object.fromEntries(methods) as T;
}
