import { spawn } from "node:child_process";
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { errnoOf, messageOf } from "../../model/errors.ts";
import { poll } from "../../waiting/bounded.ts";
import { installPackages } from "../host/debian.ts";
import type { EngineAddress } from "../../docker/engine/engine-address.ts";
import { connectEngine } from "../../docker/engine/engine.ts";
import { engineAt, isAnswering } from "./docker-engine.ts";
import { stackNameOf, usersOf } from "./engine-claims.ts";
import { tryLock } from "../../waiting/kernel-lock.ts";
import { lock } from "../host/lock.ts";
import {
  endProcess,
  identify,
  isAlive,
  processIdentitySchema,
  programOf,
  type ProcessIdentity,
} from "../host/processes.ts";
import { findProgram } from "../host/programs.ts";
import type { Report } from "../host/progress.ts";

/** The files of a dockerd that all stacks of the machine share; tests use others. */
export interface DockerdFiles {
  /** Contains its record and its log; private to root. */
  folder: string;
  engine: EngineAddress;
  /** Its own pid file and its containerd's, by program name. */
  pidFiles: { dockerd: string; containerd: string };
}

const MACHINE: DockerdFiles = {
  folder: "/var/lib/tyger/dockerd",
  engine: engineAt("unix:///var/run/docker.sock"),
  pidFiles: { dockerd: "/var/run/docker.pid", containerd: "/var/run/docker/containerd/containerd.pid" },
};
const recordOf = ({ folder }: DockerdFiles): string => join(folder, "process.json");

/** Another `up` can be installing it meanwhile. */
const LOCK_MS = 900_000;
const lockNameOf = ({ folder }: DockerdFiles): string => `dockerd-${basename(folder)}`;

/** Keeps other commands from starting or stopping the engine. @throws Error if it is not free within 15 min */
export const lockDockerd = (report: Report, files: DockerdFiles = MACHINE): Promise<AsyncDisposable> =>
  lock(lockNameOf(files), LOCK_MS, "that starts or stops the Docker engine", report);

/**
 * Starts a Docker engine, for root on Debian, and installs it first if necessary. The caller holds the lock.
 * @throws Error naming the log if the engine does not answer within 30 s.
 */
export async function startDockerd(
  { path, report }: { path: string; report: Report },
  files: DockerdFiles = MACHINE,
): Promise<EngineAddress> {
  if (!findProgram("dockerd", path) || !findProgram("iptables", path)) {
    report("installing the Docker engine (docker.io)");
    await installPackages(["docker.io", "iptables"], path);
  }
  // The package's own service can have started it meanwhile.
  if (await isAnswering(files.engine)) return files.engine;
  report("starting the Docker engine");
  await launch(files, path);
  return files.engine;
}

async function launch(files: DockerdFiles, path: string): Promise<void> {
  mkdirSync(files.folder, { recursive: true, mode: 0o700 });
  removeStalePidFiles(files);
  const logFile = join(files.folder, "dockerd.log");
  const log = openSync(logFile, "a", 0o600);
  const program = findProgram("dockerd", path) ?? "dockerd";
  const child = spawn(program, [], { detached: true, stdio: ["ignore", log, log], env: { PATH: path }, cwd: "/" });
  child.once("error", () => {});
  child.unref();
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (identity) writeFileSync(recordOf(files), JSON.stringify(identity), { mode: 0o600 });
  const look = async (): Promise<"answering" | "dead" | undefined> => {
    if (await isAnswering(files.engine)) return "answering";
    return identity && isAlive(identity) ? undefined : "dead";
  };
  if ((await poll(look, { everyMs: 100, withinMs: 30_000 })) === "answering") return;
  throw new Error(`The Docker engine did not start; see '${logFile}'`);
}

/**
 * After kill -9, or a reboot that keeps /var/run, a pid file can name another process: dockerd would refuse to start
 * because of its own pid file, and mistake the process with its containerd's pid for containerd.
 */
function removeStalePidFiles({ pidFiles }: DockerdFiles): void {
  for (const [program, file] of Object.entries(pidFiles)) {
    const pid = readIfThere(file);
    if (pid !== undefined && programOf(Number(pid)) !== program) rmSync(file);
  }
}

/**
 * Restarts the dockerd that we started if it was killed. The lock makes one of the machine's stacks do it.
 * @throws Error when it cannot be found out whether it was killed
 */
export async function reviveDockerd(path: string, log: (line: string) => void): Promise<void> {
  const files = MACHINE;
  if (readIfThere(recordOf(files)) === undefined || ourDockerd(files)) return;
  await using held = await tryLock(lockNameOf(files));
  if (!held || ourDockerd(files) || (await isAnswering(files.engine))) return;
  log("the Docker engine is gone; starting it again");
  await launch(files, path).catch((err: unknown) => log(messageOf(err)));
}

/**
 * Stops the dockerd that we started, unless another stack uses it or a container is running: jobs outlive the stack.
 * @returns "stopped", or why it was left running, or undefined if we did not start one.
 */
export async function leaveDockerd(
  paths: { runtimeDir: string },
  report: Report,
  files: DockerdFiles = MACHINE,
): Promise<string | undefined> {
  if (!ourDockerd(files)) return undefined;
  await using _locked = await lockDockerd(report, files);
  const dockerd = ourDockerd(files);
  if (!dockerd) return undefined;
  const running = await connectEngine(files.engine.host)
    .countRunning(5000)
    .catch(() => undefined);
  if (running === undefined) return "it did not answer, so it may be in use";
  if (running > 0) return "containers are running on it";
  const other = usersOf(files.engine).find(({ stack }) => stack !== stackNameOf(paths));
  if (other) return `a stack of user ${other.uid} uses it`;
  // Without the record no supervisor restarts it.
  rmSync(recordOf(files), { force: true });
  await endProcess(dockerd, "SIGTERM", 20_000);
  return "stopped";
}

/** Returns the dockerd that we started only while it is alive. @throws Error when that cannot be found out */
function ourDockerd(files: DockerdFiles): ProcessIdentity | undefined {
  const record = readIfThere(recordOf(files));
  const identity = record === undefined ? undefined : identityIn(record);
  return identity && isAlive(identity) ? identity : undefined;
}

function identityIn(record: string): ProcessIdentity | undefined {
  try {
    return processIdentitySchema.parse(JSON.parse(record));
  } catch {
    // A torn file means that the machine lost power, so no recorded process is alive.
    return undefined;
  }
}

/** Only root starts an engine: for other users, its folder is closed and an engine that it describes is not theirs. */
function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (err) {
    const isClosed = errnoOf(err) === "EACCES" && process.getuid?.() !== 0;
    if (errnoOf(err) !== "ENOENT" && !isClosed) throw err;
    return undefined;
  }
}
