import { randomBytes } from "node:crypto";
import { lstatSync } from "node:fs";
import { chown, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { syncFolderLater } from "../../disk/write-stream.ts";
import { poll } from "../../waiting/bounded.ts";
import { mustRun } from "../host/command.ts";
import type { PostgresFolder } from "./postgres-folder.ts";
import { isPostgresReady } from "./postgres-probe.ts";
import { endProcess, processesIn } from "../host/processes.ts";
import type { ProcessSpec } from "../supervisor/process-spec.ts";

/** Settings of a Postgres server whose binaries and data folder exist. */
export interface PostgresServer {
  binaries: string;
  dataDir: string;
  port: number;
  user?: { uid: number; gid: number } | undefined;
}

export const POSTGRES_HOST = "127.0.0.1";
/** The API, the worker, and tests each use a connection pool; the default of 100 is too low. */
const MAX_CONNECTIONS = 200;

/** Creates the database folder unless it exists. A call that dies halfway leaves only a temporary folder. */
export async function createPostgres(
  folder: PostgresFolder,
  binaries: string,
  creating: () => void = () => {},
): Promise<{ dataDir: string; url(port: number): string }> {
  const dataDir = join(folder.root, "data");
  const passwordFile = join(folder.root, "password");
  // A link to a disk that is away, or an error, is not a missing database: its password would be replaced.
  if (lstatSync(dataDir, { throwIfNoEntry: false }) === undefined) {
    creating();
    await removeLeftovers(folder.root);
    await writeFile(passwordFile, randomBytes(24).toString("hex"), { mode: 0o600, flush: true });
    if (folder.user) await chown(passwordFile, folder.user.uid, folder.user.gid);
    const half = join(folder.root, `data.tmp-${process.pid}`);
    const options = ["-D", half, "-U", "postgres", "--auth=scram-sha-256", `--pwfile=${passwordFile}`];
    const locale = ["--encoding=UTF8", "--locale=C.UTF-8"];
    const run = { env: { LC_ALL: "C.UTF-8" }, cwd: folder.root, timeoutMs: 120_000, ...folder.user };
    await mustRun(join(binaries, "bin", "initdb"), [...options, ...locale], run);
    // First the password's file must be on disk: a database without its password is lost.
    await syncFolderLater(folder.root);
    await rename(half, dataDir);
    await syncFolderLater(folder.root);
  }
  const password = (await readFile(passwordFile, "utf8")).trim();
  return { dataDir, url: (port) => `postgres://postgres:${password}@${POSTGRES_HOST}:${port}/postgres` };
}

/** Runs the server on loopback only, with a password that only this user can read. */
export function postgresSpec(server: PostgresServer, logFile: string): ProcessSpec {
  const { binaries, dataDir, port, user } = server;
  const settings = {
    listen_addresses: POSTGRES_HOST,
    port: String(port),
    unix_socket_directories: "",
    max_connections: String(MAX_CONNECTIONS),
  };
  return {
    name: "postgres",
    command: join(binaries, "bin", "postgres"),
    args: ["-D", dataDir, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    env: { LC_ALL: "C.UTF-8" },
    cwd: dataDir,
    ...(user && { user }),
    logFile,
    // A fast shutdown: rolls back open transactions and closes connections.
    stopSignal: "SIGINT",
    graceMs: 15_000,
    prepare: () => endLeftoverServer(dataDir),
    isReady: () => isPostgresReady(POSTGRES_HOST, port),
  };
}

/**
 * Ends processes left by an earlier server of this folder. After kill -9 of the main process its children can stay alive
 * and keep the shared memory in use, and a new server then refuses to start.
 */
async function endLeftoverServer(dataDir: string): Promise<void> {
  const look = async (): Promise<true | undefined> => {
    const left = processesIn(dataDir);
    if (left.length === 0) return true;
    await Promise.all(left.map((process) => endProcess(process, "SIGQUIT", 2000)));
    return undefined;
  };
  if (!(await poll(look, { everyMs: 50, withinMs: 30_000 }))) {
    throw new Error(`Processes of an earlier Postgres server in '${dataDir}' could not be ended`);
  }
  // No server uses the folder now. A leftover pid file would prevent the start if another process had its pid.
  await rm(join(dataDir, "postmaster.pid"), { force: true });
}

async function removeLeftovers(root: string): Promise<void> {
  const halves = (await readdir(root)).filter((name) => name.startsWith("data.tmp-"));
  await Promise.all(halves.map((name) => rm(join(root, name), { recursive: true, force: true })));
}
