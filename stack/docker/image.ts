import { chmod, copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { createReadStream } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mustRun, runCommand } from "../host/command.ts";
import { canInstallPackages, downloadPackages } from "../host/debian.ts";
import type { EngineAddress } from "../../docker/engine/engine-address.ts";
import { connectEngine } from "../../docker/engine/engine.ts";
import { messageOf } from "../../model/errors.ts";
import type { Report } from "../host/progress.ts";

/** The examples use it. */
export const EXAMPLE_IMAGE = "ubuntu";
const PULL_MS = 180_000;

export interface ImageSource {
  engine: EngineAddress;
  path: string;
  uid: number;
  report: Report;
}

export const hasImage = ({ host }: EngineAddress, image: string): Promise<boolean> =>
  connectEngine(host).hasImage(image);

/**
 * Makes sure that the engine has EXAMPLE_IMAGE: pulls it or, without a registry, builds a substitute from two Debian
 * programs and tells the user.
 * @throws Error that says why neither worked.
 */
export async function provideExampleImage(source: ImageSource): Promise<void> {
  const { engine, path, uid, report } = source;
  if (await hasImage(engine, EXAMPLE_IMAGE)) return;
  report(`pulling the image '${EXAMPLE_IMAGE}'`);
  const refusal = await pull(engine, EXAMPLE_IMAGE);
  if (!refusal) return;
  if (!canInstallPackages(path, uid)) {
    throw new Error(`The image '${EXAMPLE_IMAGE}' is not on the Docker engine and could not be pulled: ${refusal}`);
  }
  report(`could not be pulled (${refusal}); building a substitute image from Debian's busybox and bash`);
  await importStandIn(engine, EXAMPLE_IMAGE, path);
  report(
    `the image '${EXAMPLE_IMAGE}' on this Docker engine is a substitute, enough for the examples; it is not Ubuntu`,
  );
}

/** Returns why the image could not be pulled, or undefined if it was. */
async function pull({ host }: EngineAddress, image: string): Promise<string | undefined> {
  const limit = AbortSignal.timeout(PULL_MS);
  try {
    const engine = connectEngine(host);
    await engine.pullImage(image, () => {}, limit);
    return (await engine.hasImage(image)) ? undefined : "the image is missing after the pull";
  } catch (err) {
    return limit.aborted ? "it took too long" : messageOf(err);
  }
}

/** Builds `image` from two Debian programs, for machines without access to a registry. */
async function importStandIn({ host }: EngineAddress, image: string, path: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tyger-image-"));
  try {
    await downloadPackages(["busybox-static", "bash-static"], folder, path);
    const options = { env: { PATH: path }, cwd: folder, timeoutMs: 60_000 };
    for (const name of await readdir(folder)) {
      if (name.endsWith(".deb")) await mustRun("dpkg-deb", ["-x", name, "unpacked"], options);
    }
    const root = join(folder, "root");
    await layOut(join(folder, "unpacked"), root);
    await mustRun("tar", ["-cf", "root.tar", "--owner=0", "--group=0", "-C", root, "."], options);
    await connectEngine(host).importImage(image, createReadStream(join(folder, "root.tar")), [
      "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      'CMD ["/bin/bash"]',
      "LABEL tyger-stand-in=1",
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Creates a root folder with bash and all programs of busybox: as much as a job needs. */
async function layOut(unpacked: string, root: string): Promise<void> {
  for (const folder of ["bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "var"]) {
    await mkdir(join(root, folder), { recursive: true });
  }
  await chmod(join(root, "tmp"), 0o1777);
  await symlink("../bin", join(root, "usr/bin"));
  await symlink("bin", join(root, "sbin"));
  await writeFile(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/sh\n");
  await writeFile(join(root, "etc/group"), "root:x:0:\nnogroup:x:65534:\n");
  const programs = { busybox: ["bin/busybox", "usr/bin/busybox"], bash: ["bin/bash-static", "usr/bin/bash-static"] };
  for (const [name, places] of Object.entries(programs)) {
    for (const place of places) await copyFile(join(unpacked, place), join(root, "bin", name)).catch(() => {});
    await chmod(join(root, "bin", name), 0o755);
  }
  const { stdout } = await runCommand(join(root, "bin/busybox"), ["--list"], { timeoutMs: 10_000 });
  for (const name of stdout.split("\n")) {
    if (name && name !== "busybox" && name !== "bash") await symlink("busybox", join(root, "bin", name));
  }
}
