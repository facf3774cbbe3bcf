import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { messageOf } from "../model/errors.ts";
import { installPackages } from "./debian.ts";
import { ask, engineAt, isAnswering, type DockerEngine } from "./docker-engine.ts";
import { tryLock } from "./lock.ts";
import { endProcess, identify, isAlive, type ProcessIdentity } from "./processes.ts";
import { findProgram } from "./programs.ts";
import type { Report } from "./progress.ts";

/** A dockerd started by hand serves all stacks of the machine; what is known of it lies here, for root only. */
const FOLDER = "/var/lib/tyger/dockerd";
const RECORD = join(FOLDER, "process.json");
const USERS = join(FOLDER, "stacks");
const SOCKET = "unix:///var/run/docker.sock";

const record = z.object({ pid: z.number(), startTime: z.string() });

/**
 * Starts a Docker engine where none runs, for root on Debian, installing it first where it is missing.
 * @throws Error when the engine does not answer within 30 s; it names the log.
 */
export async function startDockerd({ path, report }: { path: string; report: Report }): Promise<DockerEngine> {
  if (!findProgram("dockerd", path) || !findProgram("iptables", path)) {
    report("installing the Docker engine (docker.io)");
    await installPackages(["docker.io", "iptables"], path);
  }
  const engine = engineAt(SOCKET);
  // The package's own service may have started it meanwhile.
  if (await isAnswering(engine)) return engine;
  report("starting the Docker engine");
  return launch(engine, path);
}

async function launch(engine: DockerEngine, path: string): Promise<DockerEngine> {
  mkdirSync(USERS, { recursive: true, mode: 0o700 });
  const logFile = join(FOLDER, "dockerd.log");
  const log = openSync(logFile, "a", 0o600);
  const program = findProgram("dockerd", path) ?? "dockerd";
  const child = spawn(program, [], { detached: true, stdio: ["ignore", log, log], env: { PATH: path }, cwd: "/" });
  child.once("error", () => {});
  child.unref();
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (identity) writeFileSync(RECORD, JSON.stringify(identity), { mode: 0o600 });
  const endMs = Date.now() + 30_000;
  while (!(await isAnswering(engine))) {
    if (Date.now() > endMs || !identity || !isAlive(identity)) {
      throw new Error(`The Docker engine did not start, see '${logFile}'`);
    }
    await sleep(100);
  }
  return engine;
}

/** Starts the dockerd that we started before again when it was killed; one of the stacks of the machine does it. */
export async function reviveDockerd(path: string, log: (line: string) => void): Promise<void> {
  if (!existsSync(RECORD) || ourDockerd()) return;
  await using held = await tryLock("dockerd");
  const engine = engineAt(SOCKET);
  if (!held || ourDockerd() || (await isAnswering(engine))) return;
  log("the Docker engine is gone; starting it again");
  await launch(engine, path).catch((err: unknown) => log(messageOf(err)));
}

/** Notes that the stack of `stateDir` uses the dockerd that we started, if there is one. */
export function useDockerd(runtimeDir: string): void {
  if (ourDockerd()) writeFileSync(join(USERS, basename(runtimeDir)), "");
}

/**
 * Ends the dockerd that we started, unless another stack uses it or a container runs: jobs outlive the stack.
 * @returns what became of it, or undefined when there is none of ours.
 */
export async function leaveDockerd(runtimeDir: string): Promise<"stopped" | "in use" | undefined> {
  const dockerd = ourDockerd();
  if (!dockerd) return undefined;
  rmSync(join(USERS, basename(runtimeDir)), { force: true });
  if (readdirSync(USERS).length > 0) return "in use";
  const { status, text } = await ask(engineAt(SOCKET), "GET", "/containers/json", { timeoutMs: 5000 });
  if (status !== 200 || text.trim() !== "[]") return "in use";
  // Without the record nobody starts it again.
  rmSync(RECORD, { force: true });
  await endProcess(dockerd, "SIGTERM", 20_000);
  return "stopped";
}

/** The dockerd that we started, while it lives. */
export function ourDockerd(): ProcessIdentity | undefined {
  if (!existsSync(RECORD)) return undefined;
  const identity = record.parse(JSON.parse(readFileSync(RECORD, "utf8")));
  return isAlive(identity) ? identity : undefined;
}
