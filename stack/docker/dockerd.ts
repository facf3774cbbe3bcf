import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { messageOf } from "../../model/errors.ts";
import { poll } from "../../waiting/bounded.ts";
import { installPackages } from "../host/debian.ts";
import type { EngineAddress } from "../../docker/engine/engine-address.ts";
import { connectEngine } from "../../docker/engine/engine.ts";
import { engineAt, isAnswering } from "./docker-engine.ts";
import { stackNameOf, usersOf } from "./engine-claims.ts";
import { lock, tryLock } from "../host/lock.ts";
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

/** Where a dockerd is that serves all stacks of the machine. */
export interface DockerdPlace {
  /** What is known of it, for root only. */
  folder: string;
  engine: EngineAddress;
  /** Its own and that of the containerd it starts, by the name of the program. */
  pidFiles: { dockerd: string; containerd: string };
}

const MACHINE: DockerdPlace = {
  folder: "/var/lib/tyger/dockerd",
  engine: engineAt("unix:///var/run/docker.sock"),
  pidFiles: { dockerd: "/var/run/docker.pid", containerd: "/var/run/docker/containerd/containerd.pid" },
};
const recordOf = ({ folder }: DockerdPlace): string => join(folder, "process.json");

/** Another `up` may be installing it meanwhile. */
const LOCK_MS = 900_000;
const lockNameOf = ({ folder }: DockerdPlace): string => `dockerd-${basename(folder)}`;

/** While it is held nobody else starts or ends the engine. @throws Error when it is not had within 15 min */
export const lockDockerd = (report: Report, place: DockerdPlace = MACHINE): Promise<AsyncDisposable> =>
  lock(lockNameOf(place), LOCK_MS, "that starts or ends the Docker engine", report);

/**
 * Starts a Docker engine where none runs, for root on Debian, installing it first where it is missing. The caller holds
 * the lock.
 * @throws Error when the engine does not answer within 30 s; it names the log.
 */
export async function startDockerd(
  { path, report }: { path: string; report: Report },
  place: DockerdPlace = MACHINE,
): Promise<EngineAddress> {
  if (!findProgram("dockerd", path) || !findProgram("iptables", path)) {
    report("installing the Docker engine (docker.io)");
    await installPackages(["docker.io", "iptables"], path);
  }
  // The package's own service may have started it meanwhile.
  if (await isAnswering(place.engine)) return place.engine;
  report("starting the Docker engine");
  await launch(place, path);
  return place.engine;
}

async function launch(place: DockerdPlace, path: string): Promise<void> {
  mkdirSync(place.folder, { recursive: true, mode: 0o700 });
  removeStalePidFiles(place);
  const logFile = join(place.folder, "dockerd.log");
  const log = openSync(logFile, "a", 0o600);
  const program = findProgram("dockerd", path) ?? "dockerd";
  const child = spawn(program, [], { detached: true, stdio: ["ignore", log, log], env: { PATH: path }, cwd: "/" });
  child.once("error", () => {});
  child.unref();
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (identity) writeFileSync(recordOf(place), JSON.stringify(identity), { mode: 0o600 });
  const look = async (): Promise<"answering" | "dead" | undefined> => {
    if (await isAnswering(place.engine)) return "answering";
    return identity && isAlive(identity) ? undefined : "dead";
  };
  if ((await poll(look, { everyMs: 100, withinMs: 30_000 })) === "answering") return;
  throw new Error(`The Docker engine did not start, see '${logFile}'`);
}

/**
 * After a boot, where /var/run is kept, or a kill -9 a pid file may name somebody else's process: dockerd would refuse to
 * start because of its own, and take whoever has the pid of its containerd for it.
 */
function removeStalePidFiles({ pidFiles }: DockerdPlace): void {
  for (const [program, file] of Object.entries(pidFiles)) {
    const pid = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
    if (programOf(pid) !== program) rmSync(file, { force: true });
  }
}

/** Starts the dockerd that we started before again when it was killed; one of the stacks of the machine does it. */
export async function reviveDockerd(path: string, log: (line: string) => void): Promise<void> {
  const place = MACHINE;
  if (!existsSync(recordOf(place)) || ourDockerd(place)) return;
  await using held = await tryLock(lockNameOf(place));
  if (!held || ourDockerd(place) || (await isAnswering(place.engine))) return;
  log("the Docker engine is gone; starting it again");
  await launch(place, path).catch((err: unknown) => log(messageOf(err)));
}

/**
 * Ends the dockerd that we started, unless a stack other than that of `paths` uses it or a container runs: jobs outlive
 * the stack.
 * @returns what became of it, or undefined when there is none of ours.
 */
export async function leaveDockerd(
  paths: { runtimeDir: string },
  report: Report,
  place: DockerdPlace = MACHINE,
): Promise<"stopped" | `in use by ${string}` | undefined> {
  if (!ourDockerd(place)) return undefined;
  await using _locked = await lockDockerd(report, place);
  const dockerd = ourDockerd(place);
  if (!dockerd) return undefined;
  const running = await connectEngine(place.engine.host)
    .countRunning(5000)
    .catch(() => undefined);
  if (running === undefined) return "in use by whatever it does not tell";
  if (running > 0) return "in use by containers that run";
  const other = usersOf(place.engine).find(({ stack }) => stack !== stackNameOf(paths));
  if (other) return `in use by a stack of user ${other.uid}`;
  // Without the record nobody starts it again.
  rmSync(recordOf(place), { force: true });
  await endProcess(dockerd, "SIGTERM", 20_000);
  return "stopped";
}

/** The dockerd that we started, while it lives. */
function ourDockerd(place: DockerdPlace): ProcessIdentity | undefined {
  if (!existsSync(recordOf(place))) return undefined;
  try {
    const identity = processIdentitySchema.parse(JSON.parse(readFileSync(recordOf(place), "utf8")));
    return isAlive(identity) ? identity : undefined;
  } catch {
    // A torn file is of a machine that lost power: nothing of before runs on it.
    return undefined;
  }
}
