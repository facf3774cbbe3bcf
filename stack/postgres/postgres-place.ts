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

/** Where one Postgres server lives, and as whom it runs. */
export interface PostgresPlace {
  /** Holds data/ and the password. */
  root: string;
  /** Where copies of the binaries lie, shared by all stacks of the user. */
  engines: string;
  /** Set when we are root: Postgres refuses to run as root. */
  user?: { uid: number; gid: number } | undefined;
}

/** Root's home has mode 0700: what another user must reach then lies here. */
const SYSTEM_FOLDER = "/var/lib/tyger";

/**
 * The place of the stack of `dataDir`: inside it, except for root where no other user can get there. Then it lies in
 * SYSTEM_FOLDER, and `<dataDir>/postgres` is a link to it: without the link (the data folder was wiped) a new place is
 * taken, so that no database survives the buffers its rows speak of.
 */
export function settlePostgres(dataDir: string, cacheDir: string, uid: number, system = SYSTEM_FOLDER): PostgresPlace {
  const inside = join(dataDir, "postgres");
  if (uid !== 0) {
    mkdirSync(inside, { recursive: true, mode: 0o700 });
    return { root: realpathSync(inside), engines: cacheDir };
  }
  const user = unprivilegedUser(readFileSync("/etc/passwd", "utf8"));
  const engines = join(system, "engines");
  makePassable(system);
  makePassable(engines);
  const root = rootsPlace(dataDir, inside, system);
  chownSync(root, user.uid, user.gid);
  return { root, engines, user };
}

/** Whatever the umask is, and whoever made it: that of dockerd makes the outer one for root alone when it comes first. */
function makePassable(folder: string): void {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
}

function rootsPlace(dataDir: string, inside: string, system: string): string {
  if (existsSync(inside)) return realpathSync(inside);
  if (isDangling(inside)) throw new Error(`'${inside}' leads to '${readlinkSync(inside)}', which does not exist`);
  if (isReachable(dirname(realpathSync(dataDir)))) {
    // Others may pass through, not look in; what the stack keeps beside has modes of its own.
    chmodSync(dataDir, statSync(dataDir).mode | 0o011);
    mkdirSync(inside, { mode: 0o700 });
    return realpathSync(inside);
  }
  const hash = createHash("sha256").update(dataDir).digest("hex").slice(0, 10);
  const place = join(system, `postgres-${hash}-${randomBytes(4).toString("hex")}`);
  mkdirSync(place, { recursive: true, mode: 0o700 });
  symlinkSync(place, inside);
  return place;
}

/** Whether a user without rights can get to `folder`: every folder on the way lets all others pass. */
export function isReachable(folder: string): boolean {
  if ((statSync(folder).mode & 0o001) === 0) return false;
  return dirname(folder) === folder || isReachable(dirname(folder));
}

/** Postgres' own user where the distribution has made one, else nobody. `passwd` is the text of /etc/passwd. */
export function unprivilegedUser(passwd: string): { uid: number; gid: number } {
  const lines = passwd.split("\n").map((line) => line.split(":"));
  const line = lines.find(([name]) => name === "postgres") ?? lines.find(([name]) => name === "nobody");
  const [uid, gid] = [Number(line?.[2]), Number(line?.[3])];
  if (!line || !Number.isInteger(uid) || !Number.isInteger(gid) || uid === 0) {
    throw new Error("Postgres does not run as root, and there is no user 'postgres' or 'nobody' to run it as");
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
