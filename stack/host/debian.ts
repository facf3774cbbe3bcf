import { existsSync, readdirSync } from "node:fs";
import { mustRun } from "./command.ts";
import { findProgram } from "./programs.ts";

/** Whether `tyger up` can install Debian packages without asking the user for anything. */
export const canInstallPackages = (path: string, uid: number): boolean =>
  uid === 0 && existsSync("/etc/debian_version") && findProgram("apt-get", path) !== undefined;

/**
 * Installs Debian packages; requires root.
 * @throws Error with the last lines of apt-get.
 */
export async function installPackages(packages: readonly string[], path: string): Promise<void> {
  const env = { PATH: path, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };
  const apt = (args: readonly string[]) =>
    mustRun("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=120", ...args], { env, timeoutMs: 600_000 });
  const install = () => apt(["install", "-y", "--no-install-recommends", ...packages]);
  if (!hasPackageLists()) await apt(["update"]);
  try {
    await install();
  } catch {
    // An old list can name versions that the mirror no longer has.
    await apt(["update"]);
    await install();
  }
}

/** Downloads Debian packages without installing them, for programs that only an image needs. */
export async function downloadPackages(packages: readonly string[], folder: string, path: string): Promise<void> {
  const env = { PATH: path, LC_ALL: "C" };
  // Otherwise apt, as root, downloads as a user of its own that cannot write to the folder.
  const options = ["-qq", "-o", "APT::Sandbox::User=root"];
  const download = () =>
    mustRun("apt-get", [...options, "download", ...packages], { env, cwd: folder, timeoutMs: 300_000 });
  if (!hasPackageLists()) await mustRun("apt-get", [...options, "update"], { env, timeoutMs: 300_000 });
  try {
    await download();
  } catch {
    await mustRun("apt-get", [...options, "update"], { env, timeoutMs: 300_000 });
    await download();
  }
}

function hasPackageLists(): boolean {
  try {
    return readdirSync("/var/lib/apt/lists").some((name) => name.includes("_Packages"));
  } catch {
    return false;
  }
}
