import { randomBytes } from "node:crypto";
import { chmod, copyFile, mkdir, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { findProgram } from "../../stack/host/programs.ts";
import { isReachable } from "../../stack/postgres/postgres-folder.ts";
import { run } from "./stack.ts";

/** A user of this machine with no rights but those of the given groups. */
export interface OrdinaryUser {
  name: string;
  home: string;
  /** Where a stack of theirs has its sockets. */
  socketDir: string;
  /** Arguments of setpriv(1) with which a program runs as this user. */
  becoming: string[];
  /** Refused while a process of the user is alive. */
  remove(): Promise<void>;
}

const ROOT = resolve(import.meta.dirname, "../..");
const path = process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin";

/** Why this machine cannot have a test with another user; undefined when it can. */
export function whyNoUser(programs: readonly string[] = []): string | undefined {
  if (process.getuid?.() !== 0) return "only root can make users";
  const missing = ["useradd", "userdel", "setpriv", ...programs].find((name) => !findProgram(name, path));
  if (missing) return `there is no program '${missing}'`;
  return isReachable(ROOT) ? undefined : `other users cannot get to '${ROOT}'`;
}

/** Makes a user whose home no other user can enter; its bin has the Node that runs the tests. */
export async function makeUser(...groups: string[]): Promise<OrdinaryUser> {
  const name = `tyger-${randomBytes(4).toString("hex")}`;
  const home = `/home/${name}`;
  const env = { PATH: path };
  const more = groups.length > 0 ? ["--groups", groups.join(",")] : [];
  must(await run("useradd", ["--create-home", "--home-dir", home, ...more, name], { env }));
  await chmod(home, 0o700);
  await mkdir(join(home, "bin"));
  await copyFile(process.execPath, join(home, "bin/node"));
  const { uid } = await stat(home);
  const socketDir = `/tmp/tyger-${uid}`;
  return {
    name,
    home,
    socketDir,
    becoming: ["--reuid", name, "--regid", name, "--init-groups", "--"],
    async remove() {
      must(await run("userdel", ["--remove", name], { env }));
      await rm(socketDir, { recursive: true, force: true });
    },
  };
}

function must({ code, stderr }: { code: number | null; stderr: string }): void {
  if (code !== 0) throw new Error(stderr);
}
