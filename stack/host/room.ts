import { statfs } from "node:fs/promises";

const MIB = 1024 * 1024;
/** A new stack takes 45 MiB and each start some more. A database that runs out of space while starting is the worst kind of failure. */
const NEEDED_MIB = 64;

/** @throws Error if the disk of `folder` has too little free space to start a stack */
export async function mustHaveRoom(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeMib = Math.floor((bavail * bsize) / MIB);
  if (freeMib >= NEEDED_MIB) return;
  throw new Error(
    `The disk of '${folder}' has ${freeMib} MiB free and the stack needs ${NEEDED_MIB}; free some space, or set TYGER_DATA_DIR to a folder on another disk`,
  );
}
