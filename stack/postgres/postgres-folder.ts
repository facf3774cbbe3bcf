import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** The folders of one Postgres server, and the user it runs as. */
export interface PostgresFolder {
  /** Contains data/ and the password. */
  root: string;
  /** Contains copies of the binaries, shared by all stacks of the user. */
  binaries: string;
  /** Set if we are root: Postgres refuses to run as root. */
  user?: { uid: number; gid: number } | undefined;
}

/** For what Postgres' own user must reach if we are root: root's home has mode 0700. */
const SYSTEM_FOLDER = "/var/lib/tyger";

/**
 * Chooses a folder inside `dataDir`, unless we are root and no other user can reach it. Then the folder is in SYSTEM_FOLDER,
 * and `<dataDir>/postgres` is a link to it. Without the link, because the data folder was wiped, a new folder is used, so
 * that no database outlives the buffers that its rows refer to.
 */
export function settlePostgres(dataDir: string, cacheDir: string, uid: number, system = SYSTEM_FOLDER): PostgresFolder {
  const inside = join(dataDir, "postgres");
  if (uid !== 0) {
    mkdirSync(inside, { recursive: true, mode: 0o700 });
    return { root: realpathSync(inside), binaries: cacheDir };
  }
  const user = unprivilegedUser(readFileSync("/etc/passwd", "utf8"));
  const binaries = join(system, "engines");
  makePassable(system);
  makePassable(binaries);
  const root = rootsFolder(dataDir, inside, system);
  chownSync(root, user.uid, user.gid);
  return { root, binaries, user };
}

/** Independent of the umask and of who created it: dockerd's folder, created first, makes the outer one private. */
function makePassable(folder: string): void {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
}

function rootsFolder(dataDir: string, inside: string, system: string): string {
  if (existsSync(inside)) return realpathSync(inside);
  if (isDangling(inside)) throw new Error(`'${inside}' links to '${readlinkSync(inside)}', which does not exist`);
  if (isReachable(dirname(realpathSync(dataDir)))) {
    // Others can pass through but not list it; the stack's other files have modes of their own.
    chmodSync(dataDir, statSync(dataDir).mode | 0o011);
    mkdirSync(inside, { mode: 0o700 });
    return realpathSync(inside);
  }
  const hash = createHash("sha256").update(dataDir).digest("hex").slice(0, 10);
  const folder = join(system, `postgres-${hash}-${randomBytes(4).toString("hex")}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  symlinkSync(folder, inside);
  return folder;
}

/** Whether any user can reach `folder`: every folder on the path must be passable for all. */
export function isReachable(folder: string): boolean {
  if ((statSync(folder).mode & 0o001) === 0) return false;
  return dirname(folder) === folder || isReachable(dirname(folder));
}

/** Prefers Postgres' own user to 'nobody', which other services share. `passwd` is the text of /etc/passwd. */
export function unprivilegedUser(passwd: string): { uid: number; gid: number } {
  const lines = passwd.split("\n").map((line) => line.split(":"));
  const line = lines.find(([name]) => name === "postgres") ?? lines.find(([name]) => name === "nobody");
  const [uid, gid] = [Number(line?.[2]), Number(line?.[3])];
  if (!line || !Number.isInteger(uid) || !Number.isInteger(gid) || uid === 0) {
    throw new Error("Postgres refuses to run as root, and there is no user 'postgres' or 'nobody' to run it as");
  }
  return { uid, gid };
}

function isDangling(file: string): boolean {
  try {
    return lstatSync(file).isSymbolicLink();
  } catch {
    return false;
  }
}
