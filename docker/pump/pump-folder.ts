import { closeSync, openSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { CodedError, errnoOf, messageOf } from "../../model/errors.ts";
import { PUMP_FILES } from "../../model/run/pump.ts";

/** Follows the name of a folder whose attempt must not start any more; its pump, if any, continues in it. */
export const FENCED = ".fenced";

/** A folder that is fenced or unfenced between two opens is found in the next round. */
const ROUNDS = 4;

/**
 * Opens the folder of an attempt under whichever name it has, and gives `work` a path that stays right if it is renamed.
 * The path is short, because that of a socket is limited to 107 bytes.
 * @returns undefined when there is no such folder
 * @throws CodedError Unavailable when that cannot be found out
 */
export async function inFolder<T>(folder: string, work: (path: string) => Promise<T>): Promise<T | undefined> {
  const descriptor = await known(async () => openEither(folder));
  if (descriptor === undefined) return undefined;
  try {
    return await work(`/proc/self/fd/${descriptor}`);
  } finally {
    closeSync(descriptor);
  }
}

/** Whether the attempt has a pump, running or not. @throws CodedError Unavailable */
export const hasPumpSpec = async (folder: string): Promise<boolean> => {
  const look = (path: string): Promise<unknown> => known(() => unlessMissing(stat(join(path, PUMP_FILES.spec))));
  return (await inFolder(folder, look)) !== undefined;
};

/** The content of the result file of a pump; undefined when it left none. @throws CodedError Unavailable */
export const readResultFile = (folder: string): Promise<string | undefined> =>
  inFolder(folder, (path) => known(() => unlessMissing(readFile(join(path, PUMP_FILES.result), "utf8"))));

/**
 * The result of `look`, which looks for a trace of a pump. Every failure says that nothing is known about the pump: out of
 * descriptors, for one, a process would otherwise take all pumps for dead.
 * @throws CodedError Unavailable
 */
export async function known<T>(look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (err) {
    const message = `The process that streams the buffers could not be asked: ${messageOf(err)}`;
    throw new CodedError("Unavailable", message, { cause: err });
  }
}

/** Synchronous, so that this process cannot rename the folder twice between two opens. */
function openEither(folder: string): number | undefined {
  for (let round = 1; round <= ROUNDS; round++) {
    for (const name of [folder, folder + FENCED]) {
      try {
        return openSync(name, "r");
      } catch (err) {
        if (errnoOf(err) !== "ENOENT") throw err;
      }
    }
  }
  return undefined;
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (err) {
    if (errnoOf(err) !== "ENOENT") throw err;
    return undefined;
  }
}
