import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { run, type CommandResult } from "./stack.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** Packages are downloaded and everything is bundled; a busy machine takes minutes. */
const BUILD_MS = 540_000;

/**
 * The launcher of an older release, built from the history of this repository with the tools of that release. The build
 * is kept beside the other downloads, by commit, so that only the first test run on a machine pays for it.
 * @throws Error when the history of this clone does not reach back to `commit`.
 */
export async function buildRelease(commit: string): Promise<string> {
  const releases = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "tyger/releases");
  const folder = join(releases, commit);
  const launcher = join(folder, "bin/tyger");
  if (await stat(launcher).catch(() => undefined)) return launcher;

  await mkdir(releases, { recursive: true });
  const unfinished = await mkdtemp(join(releases, `${commit}.`));
  try {
    if ((await command("git", ["cat-file", "-e", `${commit}^{commit}`])).code !== 0) {
      throw new Error(
        `The release '${commit}' is not in the git history of '${ROOT}': the upgrade test needs a full clone ('git fetch --unshallow')`,
      );
    }
    const archive = join(unfinished, "release.tar");
    await mustSucceed("git", ["archive", "--output", archive, commit]);
    await mustSucceed("tar", ["-xf", archive, "-C", unfinished]);
    await rm(archive);
    // This is how the release itself sets up its packages and its build.
    await mustSucceed("sh", [join(unfinished, "bin/with-node"), "true"]);
    // If two test runs build it at the same time, the first one to finish wins, and both are the same.
    await rename(unfinished, folder).catch(async (err: unknown) => {
      if (!(await stat(launcher).catch(() => undefined))) throw err;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return launcher;
}

/** The environment of the tests, without the settings that npm adds for the package whose script it runs. */
function command(program: string, args: readonly string[]): Promise<CommandResult> {
  const inherited = Object.entries(process.env).flatMap(([name, value]): [string, string][] =>
    value === undefined || name.startsWith("npm_") ? [] : [[name, value]],
  );
  return run(program, args, { env: Object.fromEntries(inherited), limitMs: BUILD_MS });
}

async function mustSucceed(program: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await command(program, args);
  if (code !== 0) throw new Error(`'${program} ${args.join(" ")}' failed: ${stderr}`);
}
