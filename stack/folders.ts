import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import type { StackConfig } from "../config/stack.ts";
import { makeFolder } from "../disk/folders.ts";
import { errnoWordsOf } from "../model/errno.ts";
import { errnoOf, messageOf } from "../model/errors.ts";
import { controlSocketOf } from "./supervisor/control.ts";

/** Of what the kernel takes as the address of a Unix socket. */
const LONGEST_SOCKET_PATH = 107;

/** Makes the folders of a stack, open to its user alone. @throws Error that names the one that cannot be used */
export function makeFolders({ paths, uid }: StackConfig): void {
  const longest = controlSocketOf(paths.runtimeDir);
  if (Buffer.byteLength(longest) > LONGEST_SOCKET_PATH) {
    throw new Error(`The path of the socket '${longest}' is too long: set XDG_RUNTIME_DIR to a shorter one`);
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

/** A file system that takes no folders, such as /proc, says that something is missing. */
const reasonOf = (err: unknown): string =>
  errnoOf(err) === "ENOENT" ? "it cannot be made there" : (errnoWordsOf(err, "writing") ?? messageOf(err));

function makeOurs(folder: string): void {
  makeFolder(folder, 0o700);
  accessSync(folder, constants.W_OK);
}

/** @throws Error when another user may put sockets of their own where ours are looked for, as anybody may in /tmp. */
function mustBeOurs(folder: string, uid: number): void {
  const { uid: owner, mode } = statSync(folder);
  if (owner === uid && (mode & 0o022) === 0) return;
  throw new Error(
    `Other users can write to '${folder}', where the stack's sockets would be: set XDG_RUNTIME_DIR to a folder of your own`,
  );
}
