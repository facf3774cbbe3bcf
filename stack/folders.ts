import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import type { StackConfig } from "../config/stack.ts";
import { makeFolder } from "../disk/folders.ts";
import { errnoWordsOf } from "../model/errno.ts";
import { errnoOf, messageOf } from "../model/errors.ts";
import { controlSocketOf } from "./supervisor/control.ts";

/** The kernel's limit for the path of a Unix socket, in bytes. */
const LONGEST_SOCKET_PATH = 107;

/** Creates the folders of a stack, private to the user. @throws Error that names the folder that cannot be used */
export function makeFolders({ paths, uid }: StackConfig): void {
  const longest = controlSocketOf(paths.runtimeDir);
  if (Buffer.byteLength(longest) > LONGEST_SOCKET_PATH) {
    throw new Error(`The socket path '${longest}' is too long; set XDG_RUNTIME_DIR to a shorter path`);
  }
  try {
    makeOurs(paths.dataDir);
    makeOurs(paths.stateDir);
  } catch (err) {
    throw new Error(
      `The data folder '${paths.dataDir}' cannot be used: ${reasonOf(err)}; name another in TYGER_DATA_DIR, or XDG_DATA_HOME`,
      { cause: err },
    );
  }
  makeOurs(paths.runtimeDir);
  mustBeOurs(dirname(paths.runtimeDir), uid);
}

/** A file system without folders of users, such as /proc, reports ENOENT. */
const reasonOf = (err: unknown): string =>
  errnoOf(err) === "ENOENT" ? "folders cannot be created there" : (errnoWordsOf(err, "writing") ?? messageOf(err));

function makeOurs(folder: string): void {
  makeFolder(folder, 0o700);
  accessSync(folder, constants.W_OK);
}

/** @throws Error if another user can replace our sockets, as any user can in a shared folder of /tmp */
function mustBeOurs(folder: string, uid: number): void {
  const { uid: owner, mode } = statSync(folder);
  if (owner === uid && (mode & 0o022) === 0) return;
  throw new Error(
    `Other users can write to '${folder}', where the stack's sockets would be; set XDG_RUNTIME_DIR to a folder of your own`,
  );
}
