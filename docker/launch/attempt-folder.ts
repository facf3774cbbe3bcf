import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { errnoOf } from "../../model/errors.ts";
import { PUMP_FILES, pipeFileOf, type PumpSpec } from "../../model/run/pump.ts";

const run = promisify(execFile);
const FENCED = ".fenced";

export const runFolderOf = (runsDir: string, runId: number): string => join(runsDir, String(runId));

/**
 * Where the attempt keeps its pipes; the container that it makes mounts them from there and from nowhere else. What
 * is no word of an attempt (a claim that was removed before there was one, a label that others wrote) has no folder.
 */
export const attemptFolderOf = (runsDir: string, runId: number, attempt: string): string =>
  join(runFolderOf(runsDir, runId), /^[a-z0-9]+$/.test(attempt) ? attempt : ".none");

/** Makes the folder of an attempt: its pipes, and what its pump is told. */
export async function makeAttemptFolder(folder: string, spec: PumpSpec): Promise<void> {
  const pipesFolder = join(folder, PUMP_FILES.pipes);
  await mkdir(pipesFolder, { recursive: true, mode: 0o700 });
  // By chmod, for the umask would take bits away; the job may run as any user, and mounts this folder alone.
  await chmod(pipesFolder, 0o755);
  if (spec.pipes.length === 0) return;
  const pipes = spec.pipes.map(({ parameter }) => join(pipesFolder, pipeFileOf(parameter)));
  await Promise.all([run("mkfifo", pipes), writeFile(join(folder, PUMP_FILES.spec), JSON.stringify(spec))]);
  await Promise.all(pipes.map((pipe) => chmod(pipe, 0o777)));
}

/** Renames the folder, so that the engine refuses to start what mounts it; repeating it is harmless. */
export const fenceFolder = (folder: string): Promise<void> => move(folder, folder + FENCED);

/** Takes the fence back: the container had been started before, and goes on with the same pipes. */
export const unfenceFolder = (folder: string): Promise<void> => move(folder + FENCED, folder);

/** The folder by the name that it has at this moment; undefined when it is not there. */
export async function findFolder(folder: string): Promise<string | undefined> {
  for (const name of [folder, folder + FENCED]) if (await isThere(name)) return name;
  return undefined;
}

/** The folders of all attempts of a run, fenced or not. */
export async function attemptFoldersOf(runsDir: string, runId: number): Promise<string[]> {
  const folder = runFolderOf(runsDir, runId);
  return (await namesIn(folder)).map((name) => join(folder, name));
}

/** Ids of the runs that have a folder. */
export async function runsWithFolders(runsDir: string): Promise<number[]> {
  return (await namesIn(runsDir)).filter((name) => /^[0-9]+$/.test(name)).map(Number);
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
