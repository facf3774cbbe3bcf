import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chown, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { syncFolderLater } from "../../disk/write-stream.ts";
import { poll } from "../../waiting/bounded.ts";
import { mustRun } from "../host/command.ts";
import type { PostgresPlace } from "./postgres-place.ts";
import { isPostgresReady } from "./postgres-probe.ts";
import { endProcess, processesIn } from "../host/processes.ts";
import type { ProcessSpec } from "../supervisor/process-spec.ts";

/** An embedded Postgres that is ready to be started. */
export interface PostgresServer {
  binaries: string;
  dataDir: string;
  port: number;
  user?: { uid: number; gid: number } | undefined;
}

export const POSTGRES_HOST = "127.0.0.1";
/** API, worker and tests each hold a pool; the default of 100 is soon used up. */
const MAX_CONNECTIONS = 200;

/** Makes the database folder of `place` if there is none yet; a call that dies half-way leaves nothing that counts. */
export async function createPostgres(
  place: PostgresPlace,
  binaries: string,
  creating: () => void = () => {},
): Promise<{ dataDir: string; url(port: number): string }> {
  const dataDir = join(place.root, "data");
  const passwordFile = join(place.root, "password");
  if (!existsSync(dataDir)) {
    creating();
    await removeLeftovers(place.root);
    await writeFile(passwordFile, randomBytes(24).toString("hex"), { mode: 0o600, flush: true });
    if (place.user) await chown(passwordFile, place.user.uid, place.user.gid);
    const half = join(place.root, `data.tmp-${process.pid}`);
    const options = ["-D", half, "-U", "postgres", "--auth=scram-sha-256", `--pwfile=${passwordFile}`];
    const locale = ["--encoding=UTF8", "--locale=C.UTF-8"];
    const run = { env: { LC_ALL: "C.UTF-8" }, cwd: place.root, timeoutMs: 120_000, ...place.user };
    await mustRun(join(binaries, "bin", "initdb"), [...options, ...locale], run);
    // The name of the password first: a database without it is closed to everybody.
    await syncFolderLater(place.root);
    await rename(half, dataDir);
    await syncFolderLater(place.root);
  }
  const password = (await readFile(passwordFile, "utf8")).trim();
  return { dataDir, url: (port) => `postgres://postgres:${password}@${POSTGRES_HOST}:${port}/postgres` };
}

/** How the server is run: on loopback only, with a password that only this user can read. */
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
    // A fast shutdown: open transactions are rolled back, connections closed.
    stopSignal: "SIGINT",
    graceMs: 15_000,
    prepare: () => endLeftoverServer(dataDir),
    isReady: () => isPostgresReady(POSTGRES_HOST, port),
  };
}

/**
 * Ends what is left of an earlier server of this folder. After kill -9 of the first process its children may live on
 * and hold the shared memory, with which a new server refuses to start.
 */
export async function endLeftoverServer(dataDir: string): Promise<void> {
  const look = async (): Promise<true | undefined> => {
    const left = processesIn(dataDir);
    if (left.length === 0) return true;
    await Promise.all(left.map((process) => endProcess(process, "SIGQUIT", 2000)));
    return undefined;
  };
  if (!(await poll(look, { everyMs: 50, withinMs: 30_000 }))) {
    throw new Error(`Processes of an earlier Postgres in '${dataDir}' do not end`);
  }
  // Nobody works in the folder: a pid file would only stop the start if its pid were given to somebody else.
  await rm(join(dataDir, "postmaster.pid"), { force: true });
}

async function removeLeftovers(root: string): Promise<void> {
  const halves = (await readdir(root)).filter((name) => name.startsWith("data.tmp-"));
  await Promise.all(halves.map((name) => rm(join(root, name), { recursive: true, force: true })));
}
