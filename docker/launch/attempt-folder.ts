import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { errnoOf } from "../../model/errors.ts";
import { identityInName, textOf, type RunIdentity } from "../../model/run/identity.ts";
import { PUMP_FILES, pipeFileOf, type PumpSpec } from "../../model/run/pump.ts";
import { FENCED } from "../pump/pump-folder.ts";

const run = promisify(execFile);

export const runFolderOf = (runsDir: string, run: RunIdentity): string => join(runsDir, textOf(run));

/**
 * The folder with the pipes of an attempt; its container mounts them from there only. Anything that is not the name of an
 * attempt (a claim that was removed before there was one, a label that another program wrote) has no folder.
 */
export const attemptFolderOf = (runsDir: string, run: RunIdentity, attempt: string): string =>
  join(runFolderOf(runsDir, run), /^[a-z0-9]+$/.test(attempt) ? attempt : ".none");

/** Creates the folder of an attempt, with its pipes and the specification for its pump. */
export async function makeAttemptFolder(folder: string, spec: PumpSpec): Promise<void> {
  const pipesFolder = join(folder, PUMP_FILES.pipes);
  await mkdir(pipesFolder, { recursive: true, mode: 0o700 });
  // By chmod, because the umask would remove bits; the job can run as any user, and mounts only this folder.
  await chmod(pipesFolder, 0o755);
  if (spec.pipes.length === 0) return;
  const pipes = spec.pipes.map(({ parameter }) => join(pipesFolder, pipeFileOf(parameter)));
  await Promise.all([run("mkfifo", pipes), writeFile(join(folder, PUMP_FILES.spec), JSON.stringify(spec))]);
  await Promise.all(pipes.map((pipe) => chmod(pipe, 0o777)));
}

/** Renames the folder, so that the engine refuses to start a container that mounts it. Repeating it is harmless. */
export const fenceFolder = (folder: string): Promise<void> => move(folder, folder + FENCED);

/** Removes the fence again: the container had been started before, and continues with the same pipes. */
export const unfenceFolder = (folder: string): Promise<void> => move(folder + FENCED, folder);

/** The folder under its present name; undefined when it does not exist. */
export async function findFolder(folder: string): Promise<string | undefined> {
  for (const name of [folder, folder + FENCED]) if (await isThere(name)) return name;
  return undefined;
}

/** The folders of all attempts of a run, fenced or not. */
export async function attemptFoldersOf(runsDir: string, run: RunIdentity): Promise<string[]> {
  const folder = runFolderOf(runsDir, run);
  // The others are tokens.
  return (await namesIn(folder)).filter((name) => !name.startsWith(".")).map((name) => join(folder, name));
}

/** The runs that have a folder. */
export async function runsWithFolders(runsDir: string): Promise<RunIdentity[]> {
  return (await namesIn(runsDir)).flatMap((name) => identityInName(name) ?? []);
}

export const removeFolder = (folder: string): Promise<void> => rm(folder, { recursive: true, force: true });

export const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    (err: unknown) => {
      if (errnoOf(err) !== "ENOENT") throw err;
      return false;
    },
  );

async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (err) {
    if (errnoOf(err) !== "ENOENT") throw err;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (err) {
    if (errnoOf(err) === "ENOENT") return [];
    throw err;
  }
}
