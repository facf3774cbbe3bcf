import { existsSync, readdirSync } from "node:fs";
import { mustRun } from "./command.ts";
import { findProgram } from "./programs.ts";

/** Whether packages of the distribution can be installed here, without asking anybody. */
export const canInstallPackages = (path: string, uid: number): boolean =>
  uid === 0 && existsSync("/etc/debian_version") && findProgram("apt-get", path) !== undefined;

/**
 * Installs packages of the distribution, as root on Debian and its children.
 * @throws Error with what apt-get said.
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
    // An old list names versions that the mirror no longer has.
    await apt(["update"]);
    await install();
  }
}

/** Downloads packages of the distribution into `folder` without installing them; returns when the files are there. */
export async function downloadPackages(packages: readonly string[], folder: string, path: string): Promise<void> {
  const env = { PATH: path, LC_ALL: "C" };
  // As root apt would fetch as a user of its own, who cannot write here.
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
